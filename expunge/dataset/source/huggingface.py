"""A folder that Hugging Face's `Dataset.save_to_disk` wrote: Arrow streams, named in `state.json`.

Read by pyarrow alone. Its extension types (Array2D, …) are read as the lists that they are stored
as; none is loaded by name, since old ones name a pickle.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from expunge.dataset.errors import ColumnError, IngestError
from expunge.dataset.source.part import sliced
from expunge.dataset.source.refusal import reading

STATE, INFO, SPLITS = "state.json", "dataset_info.json", "dataset_dict.json"
_JSON_BYTES = 16 << 20
_PLAIN = re.compile(r"[\w][\w. +-]*")
# Arrow IPC streaming format: a continuation and a length of 0. Without it a stream that was cut
# off between two batches reads like a shorter one.
_END = b"\xff\xff\xff\xff\x00\x00\x00\x00"


@dataclass(frozen=True)
class HuggingFacePart:
    """One saved dataset. Rows are counted over all its files, from 0, as `dataset[i]` does."""

    folder: Path
    files: tuple[Path, ...]
    schema: pa.Schema
    first_row: int = 0
    rows: None = None

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @classmethod
    def open(cls, folder: Path) -> HuggingFacePart:
        """Read which files there are, and that they end well and have one schema.

        Raises:
            IngestError: several splits, rows behind an index, a file that is absent or cut off.
            ColumnError: files of several schemas.
        """
        files = _files(folder)
        schema: pa.Schema | None = None
        for file in files:
            with _stream(file) as (_, stream):
                found = stream.schema.remove_metadata()
            schema = schema or found
            if not found.equals(schema):
                raise ColumnError(
                    f"{folder.name}: {file.name} has other columns than {files[0].name}.",
                    fix="save the dataset again with `save_to_disk`",
                )
        return cls(folder, files, schema or pa.schema([]))

    def read(self) -> Iterator[pa.RecordBatch]:
        """See `Part.read`."""
        for file in self.files:
            with _stream(file) as (mapped, stream):
                for batch in stream:
                    # The file may be anyone's: an offset that points outside would crash Python.
                    batch.validate(full=True)
                    yield from sliced(batch)
                if mapped.tell() != mapped.size():
                    raise pa.ArrowInvalid("more follows the end of the stream")


def is_saved_dataset(folder: Path) -> bool:
    """Whether `Dataset.save_to_disk` or `DatasetDict.save_to_disk` wrote this folder."""
    return (folder / SPLITS).is_file() or all((folder / f).is_file() for f in (STATE, INFO))


def _files(folder: Path) -> tuple[Path, ...]:
    if (folder / SPLITS).is_file():
        held = sorted(found for found in folder.iterdir() if (found / STATE).is_file())
        raise IngestError(
            f"{folder.name} holds {len(held)} splits of a dataset.",
            fix=f"give one of them: {', '.join(map(str, held))}",
        )
    state = _json(folder / STATE)
    if state.get("_indices_data_files"):
        raise IngestError(
            f"{folder.name}: {STATE} puts an index before the rows.",
            fix="save what `dataset.flatten_indices()` gives",
        )
    names = _named(state.get("_data_files"))
    if not names or not all(_PLAIN.fullmatch(name) for name in names):
        raise IngestError(
            f"{folder.name}: {STATE} does not name the dataset's files.",
            fix="save the dataset again with `save_to_disk`",
        )
    return tuple(folder / name for name in names)


def _named(files: Any) -> list[str]:
    """The names in `[{"filename": …}, …]`; none where it is anything else."""
    each = files if isinstance(files, list) else []
    names = [file.get("filename") if isinstance(file, dict) else None for file in each]
    return [str(name) for name in names] if all(isinstance(n, str) for n in names) else []


def _json(file: Path) -> dict[str, Any]:
    try:
        with file.open(encoding="utf-8") as opened:
            found = json.loads(opened.read(_JSON_BYTES))
        if isinstance(found, dict):
            return found
    except (OSError, ValueError, RecursionError):
        pass
    raise IngestError(
        f"{file.parent.name}: {file.name} is not readable.",
        fix="copy the folder again, or save the dataset again with `save_to_disk`",
    )


@contextmanager
def _stream(file: Path) -> Iterator[tuple[pa.MemoryMappedFile, pa.ipc.RecordBatchStreamReader]]:
    """A file mapped, so that its pages are the kernel's to drop, and the stream in it."""
    with reading(file, "Arrow"):
        with file.open("rb") as opened:
            opened.seek(-min(len(_END), os.fstat(opened.fileno()).st_size), os.SEEK_END)
            if opened.read() != _END:
                raise pa.ArrowInvalid("the stream has no end")
        with pa.memory_map(str(file)) as mapped, pa.ipc.open_stream(mapped) as stream:
            yield mapped, stream
