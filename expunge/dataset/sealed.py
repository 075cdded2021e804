"""Forget rows, sealed: what unlearning needs of the erased rows, encrypted under the batch's key.

A file is a magic line and chunks, each a length and an AES-256-GCM text whose context holds the
batch, the chunk's number and whether it is the last: chunks cannot be swapped, cut off or taken
from another batch unseen. Ids are not in it. Destroying the key destroys every copy.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from expunge.dataset.disk import writing
from expunge.dataset.errors import ShardError
from expunge.dataset.holdings import find_subjects
from expunge.dataset.packed import packed_batches, schema_of
from expunge.dataset.store import Store
from expunge.errors import TerminalError
from expunge.keys import KeyMissingError, KeyRing

ASIDE = ".aside"
_MAGIC = b"expunge sealed rows 1\n"
_LENGTH = struct.Struct("<Q")
_CHUNK_BYTES = 16 << 20


def seal_rows(
    store: Store,
    key: bytes,
    subject_ids: Collection[str],
    *,
    keys: KeyRing,
    batch_id: str,
    path: Path,
) -> int:
    """Seal the subjects' rows, of every role, into `path`; how many there are.

    Written aside and put into place whole, once: what is there stays, since it is the same while
    the batch is not published, and afterwards all that is left of the rows. A process that was
    stopped and goes on when another one has published would seal nobody in its place. Data key
    `batch_id` is created if absent.
    """
    rows = 0

    def batches() -> Iterator[pa.RecordBatch]:
        nonlocal rows
        for found in find_subjects(store, key, subject_ids):
            theirs = np.zeros(len(found.index.rows), bool)
            theirs[found.at] = True
            for batch in packed_batches(store, found.shard, select=theirs):
                rows += batch.num_rows
                yield from _sliced(batch)

    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        aside = path.with_name(f".{path.name}.{token_hex(8)}{ASIDE}")
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            schema = schema_of(store.spec)
            _Sealer(file, schema, keys, batch_id).write(batches())
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(aside, path)
        aside.unlink()
    return rows


def sweep_sealing(folder: Path, batches: Collection[str]) -> None:
    """Remove what killed processes left of sealing the rows of these batches, half written."""
    for path in folder.glob(f".*{ASIDE}"):
        if path.name[1:].partition(".")[0] in batches:
            path.unlink(missing_ok=True)


def open_sealed(path: Path, keys: KeyRing, batch_id: str) -> Iterator[pa.RecordBatch]:
    """The sealed rows, decrypted chunk by chunk.

    Raises:
        KeyMissingError: the batch's data key was destroyed, or the key folder is not complete.
        ShardError: absent, cut off, altered, or of another batch.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise _broken(path)
            for number, (last, text) in enumerate(_chunks(file, path)):
                context = _context(batch_id, number, last)
                try:
                    plain = keys.unseal(batch_id, text, context=context)
                except KeyMissingError:
                    raise
                except (TerminalError, ValueError):
                    raise _broken(path) from None
                with pa.ipc.open_stream(pa.py_buffer(plain)) as stream:
                    yield from stream
    except OSError:
        raise _broken(path) from None


def _sliced(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    step = max(1, _CHUNK_BYTES // max(1, batch.nbytes // max(1, batch.num_rows)))
    for begin in range(0, batch.num_rows, step):
        yield batch.slice(begin, step)


@dataclass(frozen=True)
class _Sealer:
    file: BinaryIO
    schema: pa.Schema
    keys: KeyRing
    batch_id: str

    def write(self, batches: Iterable[pa.RecordBatch]) -> None:
        """Chunks of rows, then an empty one that says it is the last."""
        self.file.write(_MAGIC)
        number = 0
        for batch in batches:
            self._put([batch], number, last=False)
            number += 1
        self._put([], number, last=True)

    def _put(self, batches: list[pa.RecordBatch], number: int, *, last: bool) -> None:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, self.schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
        plain, context = sink.getvalue().to_pybytes(), _context(self.batch_id, number, last)
        text = self.keys.seal(self.batch_id, plain, context=context, create=True)
        self.file.write(_LENGTH.pack(len(text)) + text)


def _chunks(file: BinaryIO, path: Path) -> Iterator[tuple[bool, bytes]]:
    """Each chunk with whether it is the last; one that is cut off is an error."""
    size = os.fstat(file.fileno()).st_size
    while True:
        head = file.read(_LENGTH.size)
        length = _LENGTH.unpack(head)[0] if len(head) == _LENGTH.size else size
        if file.tell() + length > size:
            raise _broken(path)
        text = file.read(length)
        last = file.tell() == size
        yield last, text
        if last:
            return


def _context(batch_id: str, number: int, last: bool) -> bytes:
    return f"sealed rows\0{batch_id}\0{number}\0{int(last)}".encode()


def _broken(path: Path) -> ShardError:
    return ShardError(
        f"Sealed rows {path.name} are absent, cut off, altered, or of another batch.",
        fix="restore the file from a backup; without it, only exact retrain pays this batch's debt",
    )
