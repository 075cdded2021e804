"""An NPZ file: one array for each column, all of one length.

The arrays are read side by side through the archive, compressed or not, so that memory holds a
batch and each array's checksum is verified. A memory map would verify nothing.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pyarrow as pa

from expunge.dataset.errors import IngestError
from expunge.dataset.source.npyarray import HEADER_BYTES, NpyArray
from expunge.dataset.source.part import batch_rows
from expunge.specs import DatasetSpec

_SUFFIX = ".npy"
_MOST_ARRAYS = 4096
_PLAIN = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
# What a bomb unpacks to: real arrays of this size, all zeros aside, shrink far less.
_BOMB_BYTES, _BOMB_RATIO = 1 << 30, 200
_READ_BYTES = 1 << 20
_ENCRYPTED = 1
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, UnicodeError)


@dataclass(frozen=True)
class NpzPart:
    """One NPZ file. Rows are counted as numpy counts them, from 0."""

    file: Path
    arrays: tuple[NpyArray, ...]
    first_row: int = 0

    @property
    def name(self) -> str:
        """The file's name."""
        return self.file.name

    @property
    def rows(self) -> int:
        """Length of the arrays."""
        return self.arrays[0].rows

    @property
    def schema(self) -> pa.Schema:
        """One column for each array."""
        return pa.schema([(array.name, array.type) for array in self.arrays])

    @classmethod
    def open(cls, spec: DatasetSpec, file: Path) -> NpzPart:
        """Read the directory of the archive and each array's header.

        Raises:
            IngestError: no archive, damaged, an array that cannot be taken row by row, a zip bomb.
        """
        with _archive(file) as archive:
            entries = archive.infolist()
            _check_directory(file, entries)
            arrays = tuple(_header(archive, entry, file) for entry in entries)
        if unlike := [a for a in arrays if a.rows != arrays[0].rows]:
            raise IngestError(
                f"{file.name}: array {unlike[0].name!r} has {unlike[0].rows:,} rows, "
                f"{arrays[0].name!r} has {arrays[0].rows:,}.",
                fix="save arrays of one length, one row a record; leave others out",
            )
        for array in arrays:
            _check_width(spec, array, f"{file.name}: array {array.name!r}")
        return cls(file, arrays)

    def read(self) -> Iterator[pa.RecordBatch]:
        """See `Part.read`."""
        step = batch_rows(sum(array.row_bytes for array in self.arrays))
        with _archive(self.file) as archive, ExitStack() as opened:
            streams = [opened.enter_context(archive.open(a.name + _SUFFIX)) for a in self.arrays]
            for array, stream in zip(self.arrays, streams, strict=True):
                _exactly(stream, array.header_bytes)
            for begin in range(0, self.rows, step):
                yield self._batch(streams, min(step, self.rows - begin))
            # The checksum is compared at the end of an array, which is only now asked for.
            if any(stream.read(1) for stream in streams):
                raise EOFError

    def _batch(self, streams: list[IO[bytes]], rows: int) -> pa.RecordBatch:
        columns = []
        for array, stream in zip(self.arrays, streams, strict=True):
            data = _exactly(stream, rows * array.row_bytes)
            try:
                columns.append(array.column(data))
            except (ValueError, pa.ArrowInvalid):
                raise IngestError(
                    f"{self.name}: array {array.name!r} holds text that is not UTF-8.",
                    fix="save it as text of a fixed width: x.astype(str)",
                ) from None
        return pa.record_batch(columns, schema=self.schema)


def _check_directory(file: Path, entries: list[zipfile.ZipInfo]) -> None:
    names = [entry.filename for entry in entries]
    if not 0 < len(names) <= _MOST_ARRAYS:
        raise IngestError(
            f"{file.name} holds {len(names):,} arrays, allowed are 1 to {_MOST_ARRAYS:,}.",
            fix="save one array for each column: numpy.savez(file, record_id=…, subject_id=…)",
        )
    if len(set(names)) < len(names):
        raise IngestError(f"{file.name} holds two arrays of one name.", fix="save each array once")
    for number, entry in enumerate(entries, 1):
        plain = entry.compress_type in _PLAIN and not entry.flag_bits & _ENCRYPTED
        if not plain or not entry.filename.endswith(_SUFFIX):
            raise IngestError(
                f"{file.name}: entry {number} of the archive is not an array as numpy saves it.",
                fix="save the file with numpy.savez or numpy.savez_compressed",
            )
    if sum(entry.compress_size for entry in entries) > file.stat().st_size:
        raise _damaged(file)


def _header(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, file: Path) -> NpyArray:
    name = entry.filename.removesuffix(_SUFFIX)
    where = f"{file.name}: array {name!r}"
    with archive.open(entry) as stream:
        array = NpyArray.parse(name, stream.read(HEADER_BYTES), where)
    if array.header_bytes + array.rows * array.row_bytes != entry.file_size:
        raise IngestError(
            f"{where} is of another size than its header says.", fix="save the file again"
        )
    if entry.file_size > max(_BOMB_BYTES, _BOMB_RATIO * entry.compress_size):
        times = entry.file_size / (entry.compress_size or 1)
        raise IngestError(
            f"{where} would unpack to {times:,.0f} times its size, {entry.file_size:,} bytes: "
            "it is taken for a zip bomb.",
            fix="if it is not, save the file uncompressed, with numpy.savez",
        )
    return array


def _check_width(spec: DatasetSpec, array: NpyArray, where: str) -> None:
    mine, width = array.name == spec.features.column, spec.features.width
    if mine and spec.features.encoded:
        raise IngestError(
            f"{where} cannot hold encoded images: numpy cuts zero bytes off.",
            fix="give their pixels, without `encoded` in the spec, or a Parquet file of images",
        )
    if mine and array.width != width:
        raise IngestError(
            f"{where} has rows of the shape {list(array.shape[1:])}, "
            f"the spec says {list(spec.features.input_shape)}.",
            fix="mend `shape` in the dataset's spec, or the array",
        )
    array.refuse_wide(where, 8 * width if mine else 0)


@contextmanager
def _archive(file: Path) -> Iterator[zipfile.ZipFile]:
    """The archive, with what may be wrong with it as an error of ours."""
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive
    except _BROKEN:
        raise _damaged(file) from None


def _damaged(file: Path) -> IngestError:
    return IngestError(
        f"{file.name}: not a readable NPZ file; it is truncated or corrupt.",
        fix="copy it again, or save it again with numpy.savez",
    )


def _exactly(stream: IO[bytes], count: int) -> bytearray:
    data = bytearray()
    while len(data) < count:
        piece = stream.read(min(_READ_BYTES, count - len(data)))
        if not piece:
            raise EOFError
        data += piece
    return data
