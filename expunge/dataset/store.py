"""One dataset version's files: shards by subject, a small index beside each, one manifest.

    shard-00042.parquet   rows, sorted by (subject_id, record_id)
    index-00042.parquet   per subject, in the same order: digest, offset, rows, role
    manifest.json         counts by role and label

The bytes of a shard and of its index are a function of its rows alone (fixed writer options, one
chunk, no time stamps): the same rows always make the same DVC object. A shard that never had a
row has no file; one that lost its last row keeps an empty file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from expunge.dataset.errors import ShardError
from expunge.dataset.labels import cell_of, cells, described
from expunge.dataset.placement import DIGEST_BYTES, ROLES, Placement
from expunge.dataset.schema import INGEST, ROLE
from expunge.dataset.tally import Manifest, Tally
from expunge.specs import DatasetSpec

MANIFEST = "manifest.json"
ROW_GROUP = 1 << 16
_SHARD = re.compile(r"shard-(\d{5})\.parquet")
_FIX = "check the version out again; `expunge doctor` checks cache and remote"
_INDEX_SCHEMA = pa.schema(
    [
        pa.field("digest", pa.binary(DIGEST_BYTES), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("rows", pa.int64(), nullable=False),
        pa.field("role", pa.int8(), nullable=False),
    ]
)


def shard_name(number: int) -> str:
    """File name of a shard."""
    return f"shard-{number:05d}.parquet"


def index_name(number: int) -> str:
    """File name of a shard's index."""
    return f"index-{number:05d}.parquet"


@dataclass(frozen=True)
class Index:
    """Subjects of one shard, in the order of its rows."""

    digest: npt.NDArray[np.uint8]
    """[n, 16]."""
    offset: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]
    role: npt.NDArray[np.int8]
    """Position in `ROLES`."""

    def find(self, digest: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
        """Position of each digest ([m, 16]), −1 where the shard has no such subject."""
        found = pc.index_in(_binary(digest), value_set=_binary(self.digest))
        return np.asarray(pc.fill_null(found, -1)).astype(np.int64)


@dataclass(frozen=True)
class Store:
    """The shards of one version in one folder, read shard by shard."""

    folder: Path
    spec: DatasetSpec

    @cached_property
    def manifest(self) -> Manifest:
        """Counts of the version.

        Raises:
            ShardError: absent, corrupt, or of another dataset.
        """
        try:
            manifest = Manifest.from_json((self.folder / MANIFEST).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError):
            raise ShardError(
                f"Dataset {self.spec.name!r} has no readable {MANIFEST}.",
                fix=f"expunge ingest {self.spec.name} --from PATH, or check a version out",
            ) from None
        if manifest.dataset != self.spec.name:
            raise ShardError(
                f"The manifest is of dataset {manifest.dataset!r}, not {self.spec.name!r}.",
                fix=_FIX,
            )
        _check_values(self.spec, manifest)
        stored, named = manifest.tally.rows.shape[1], cells(self.spec)
        if named < stored:
            raise ShardError(
                f"data/{self.spec.name}.yaml: field classes: found {named}, allowed at least "
                f"{stored}, the number of the stored rows.",
                fix=f"set classes back to {stored}",
            )
        return replace(manifest, tally=manifest.tally.widen(named))

    @cached_property
    def numbers(self) -> tuple[int, ...]:
        """Numbers of the shards that have a file, ascending."""
        names = (_SHARD.fullmatch(path.name) for path in self.folder.iterdir())
        return tuple(sorted(int(name[1]) for name in names if name))

    def placement(self, key: bytes) -> Placement:
        """Places subjects as this dataset does."""
        return Placement(key, shards=self.manifest.shards, shares=self.spec.roles)

    def shard_path(self, number: int) -> Path:
        """Where shard `number` is."""
        return self.folder / shard_name(number)

    def index_path(self, number: int) -> Path:
        """Where the index of shard `number` is."""
        return self.folder / index_name(number)

    def has(self, number: int) -> bool:
        """Whether shard `number` has a file."""
        return self.shard_path(number).exists()

    def read(
        self, number: int, columns: Sequence[str] | None = None, *, threads: bool = True
    ) -> pa.Table:
        """Rows of one shard, page checksums verified; all columns unless named.

        `threads`: read columns beside each other; not where shards already are.
        """
        return read_parquet(self.shard_path(number), columns, threads=threads)

    def index(self, number: int) -> Index:
        """Subjects of one shard."""
        table = read_parquet(self.index_path(number)).combine_chunks()
        offset, rows, role = (table[name].to_numpy() for name in ("offset", "rows", "role"))
        return Index(_bytes(table["digest"]), offset, rows, role)


def _check_values(spec: DatasetSpec, manifest: Manifest) -> None:
    """Bins that moved would count other rows; a class is no real number."""
    if dict(described(spec)) == manifest.values:
        return
    stored = ", ".join(f"{name}: {value:g}" for name, value in manifest.values.items())
    back = f"values back to {{{stored}}}" if stored else "classes in place of values"
    raise ShardError(
        f"data/{spec.name}.yaml: field values: the stored rows were counted by "
        f"{f'{{{stored}}}' if stored else 'their classes'}, and that does not change.",
        fix=f"set {back}, or begin a dataset of another name",
    )


def read_parquet(
    path: Path, columns: Sequence[str] | None = None, *, threads: bool = True
) -> pa.Table:
    """A file of ours as a table.

    Raises:
        ShardError: absent, truncated, or a page's checksum is wrong.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True, pre_buffer=False) as file:
            return file.read(
                columns=None if columns is None else list(columns), use_threads=threads
            )
    except (OSError, pa.ArrowException) as error:
        absent = isinstance(error, FileNotFoundError)
        what = "is absent" if absent else "is truncated or corrupt"
        raise ShardError(f"{path.name} {what}.", fix=_FIX) from None


def write_shard(
    folder: Path, number: int, rows: pa.Table, placement: Placement, spec: DatasetSpec
) -> Tally:
    """Write one shard's rows (already sorted) and its index; their counts."""
    rows = rows.combine_chunks()
    index = build_index(rows, placement, spec)
    few = {spec.subject_id, ROLE, INGEST} | ({spec.label} if spec.values is None else set())
    write_parquet(rows, folder / shard_name(number), dictionaries=sorted(few))
    table = pa.table(
        [_binary(index.digest), index.offset, index.rows, index.role], schema=_INDEX_SCHEMA
    )
    write_parquet(table, folder / index_name(number), dictionaries=["rows", "role"])
    return tally_of(rows, index, spec)


def write_parquet(table: pa.Table, path: Path, *, dictionaries: Sequence[str]) -> None:
    """Write a table so that the bytes depend on its rows alone."""
    pq.write_table(
        table,
        path,
        row_group_size=ROW_GROUP,
        version="2.6",
        compression="zstd",
        compression_level=1,
        use_dictionary=list(dictionaries),
        write_statistics=list(dictionaries),
        write_page_checksum=True,
        store_schema=True,
    )


def build_index(rows: pa.Table, placement: Placement, spec: DatasetSpec) -> Index:
    """Subjects of sorted rows: runs of one subject, in order."""
    subjects = _single(rows[spec.subject_id])
    runs = pc.run_end_encode(subjects, run_end_type=pa.int64())
    ends = np.asarray(runs.run_ends).astype(np.int64)
    offset = np.concatenate([np.zeros(1, np.int64), ends[:-1]]) if ends.size else ends
    digest = placement.place(runs.values.to_pylist()).digest
    return Index(digest, offset, ends - offset, role_codes(rows)[offset])


def tally_of(rows: pa.Table, index: Index, spec: DatasetSpec) -> Tally:
    """Counts of one shard."""
    cell = cell_of(rows[spec.label].to_numpy(), spec)
    return Tally.count(role_codes(rows), cell, index.role, cells(spec))


def role_codes(rows: pa.Table) -> npt.NDArray[np.int8]:
    """Position in `ROLES` of each row's role; −1 for anything else."""
    found = pc.index_in(_single(rows[ROLE]), value_set=pa.array(ROLES))
    return np.asarray(pc.fill_null(found, -1)).astype(np.int8)


def _single(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _binary(digest: npt.NDArray[np.uint8]) -> pa.Array:
    data = np.ascontiguousarray(digest)
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(DIGEST_BYTES), len(data), [None, pa.py_buffer(data)]
    )


def _bytes(column: pa.ChunkedArray) -> npt.NDArray[np.uint8]:
    array = _single(column)
    whole = np.frombuffer(array.buffers()[1] or b"", np.uint8)
    begin = array.offset * DIGEST_BYTES
    return whole[begin : begin + len(array) * DIGEST_BYTES].reshape(-1, DIGEST_BYTES)
