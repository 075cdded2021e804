"""Images in files of their own, named by a manifest (CSV or Parquet) relative to its folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow as pa

from expunge.dataset.images import MOST_BYTES, UndecodableError
from expunge.dataset.origin import Origin
from expunge.dataset.source import part as bounds
from expunge.dataset.source.part import Part

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True)
class ImageFiles:
    """A manifest whose `column` names files, as a part whose `column` holds their bytes.

    The names are not kept: they often say who is on the picture.
    """

    part: Part
    column: str
    folder: Path
    """The manifest's. No file outside it is read, whatever a name or a link says."""

    @property
    def name(self) -> str:
        """See `Part.name`."""
        return self.part.name

    @property
    def first_row(self) -> int:
        """See `Part.first_row`."""
        return self.part.first_row

    @property
    def rows(self) -> int | None:
        """See `Part.rows`."""
        return self.part.rows

    @property
    def schema(self) -> pa.Schema:
        """The manifest's, with bytes under `column`."""
        at = self.part.schema.get_field_index(self.column)
        return self.part.schema.set(at, pa.field(self.column, pa.large_binary()))

    def read(self) -> Iterator[pa.RecordBatch]:
        """See `Part.read`; batches end where their images' bytes are enough.

        Raises:
            ValueRefusedError: a file is absent, outside the folder, too large, or no plain file.
        """
        row = self.first_row
        for batch in self.part.read():
            names = batch.column(batch.schema.get_field_index(self.column))
            begin, held, images = 0, 0, list[bytes | None]()
            for at, name in enumerate(names.to_pylist()):
                images.append(self._image(name, row + at))
                held += len(images[-1] or b"")
                if held >= bounds.BATCH_BYTES or at + 1 == batch.num_rows:
                    yield self._with(batch.slice(begin, at + 1 - begin), images)
                    begin, held, images = at + 1, 0, []
            row += batch.num_rows

    def _with(self, batch: pa.RecordBatch, images: list[bytes | None]) -> pa.RecordBatch:
        at = batch.schema.get_field_index(self.column)
        return batch.set_column(at, self.column, pa.array(images, pa.large_binary()))

    def _image(self, name: str | None, row: int) -> bytes | None:
        if name is None:
            return None
        try:
            return read_image(self.folder, name)
        except UndecodableError as error:
            fix = "mend the name in the manifest, or bring the file"
            Origin(self.name, row).refuse(self.column, np.ones(1, bool), str(error), fix)
            raise


def read_image(folder: Path, name: str) -> bytes:
    """The content of a file in `folder`, or below it.

    Raises:
        UndecodableError: absent, elsewhere, larger than an image may be, or no plain file.
    """
    path = PurePosixPath(name)
    try:
        found = (folder / path).resolve(strict=True)
        within = found.is_relative_to(folder.resolve())
        if path.is_absolute() or ".." in path.parts or not within:
            raise UndecodableError("a file outside the manifest's folder")
        # A pipe would be waited for, and a link may have changed since it was resolved.
        with os.fdopen(os.open(found, _FLAGS), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UndecodableError("not a plain file")
            content = file.read(MOST_BYTES + 1)
    # RuntimeError: a link that leads to itself. ValueError: a name with a zero byte.
    except (OSError, RuntimeError, ValueError):
        raise UndecodableError("no readable file of this name in the manifest's folder") from None
    if len(content) > MOST_BYTES:
        raise UndecodableError(f"a file of more than {MOST_BYTES >> 20} MiB")
    return content
