"""A source on disk as a stream of Arrow batches: a Parquet file, a folder of them, or a CSV file.

pyarrow's own messages quote the rejected value, so they are never passed on: what is kept of
them is the number of the column and of the row.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from expunge.dataset.errors import ColumnError, IngestError
from expunge.dataset.normalise import Origin
from expunge.dataset.schema import extras_of, feature_type, join_extras, refuse_reserved
from expunge.specs import DatasetSpec

_BATCH_BYTES = 48 << 20
_MAX_ROWS = 1 << 17
_CSV_BLOCK = 8 << 20


@dataclass(frozen=True)
class Source:
    """Files of one ingest, of one format, checked to be there and readable at their ends."""

    spec: DatasetSpec
    files: tuple[Path, ...]
    csv: bool
    extras: tuple[pa.Field, ...]
    """Further columns, the stored ones first."""
    rows: int | None
    """Rows in all, where the format says so."""
    _types: dict[str, pa.DataType] = field(default_factory=dict, repr=False)

    def batches(self) -> Iterator[tuple[Origin, pa.RecordBatch]]:
        """The rows, in the order of the files, in bounded batches."""
        for file in self.files:
            row = 2 if self.csv else 1
            opened = _csv_batches(file, self._types) if self.csv else self._parquet(file)
            for batch in opened:
                yield Origin(file.name, row), batch
                row += batch.num_rows

    def _parquet(self, file: Path) -> Iterator[pa.RecordBatch]:
        width = 4 * self.spec.features.width + 64
        size = max(1, min(_MAX_ROWS, _BATCH_BYTES // width))
        options = {"memory_map": True, "pre_buffer": False, "page_checksum_verification": True}
        with _reading(file), pq.ParquetFile(file, **options) as opened:
            yield from opened.iter_batches(batch_size=size)


def open_source(spec: DatasetSpec, path: Path, stored_extras: tuple[pa.Field, ...]) -> Source:
    """Find the files and check their schemas.

    Raises:
        IngestError: absent, empty, corrupt, or of a format that is not read.
        ColumnError: files that disagree with each other or with what is stored.
    """
    files, csv = _files(path)
    types = _csv_types(spec, stored_extras) if csv else {}
    extras, rows = stored_extras, 0
    for file in files:
        if csv:
            schema, types = _csv_schema(file, types)
        else:
            with _reading(file), pq.ParquetFile(file) as opened:
                schema, found = opened.schema_arrow, opened.metadata.num_rows
                rows += found
        _require(spec, schema, file)
        refuse_reserved(spec, schema, file.name)
        extras = join_extras(extras, extras_of(spec, schema), file.name)
    return Source(spec, files, csv, extras, None if csv else rows, types)


def _files(path: Path) -> tuple[tuple[Path, ...], bool]:
    if not path.exists():
        raise IngestError(f"There is nothing at {path}.", fix="mend the path after --from")
    if path.is_file():
        files: tuple[Path, ...] = (path,)
    else:
        files = tuple(
            sorted(
                found
                for found in path.rglob("*")
                if found.suffix.lower() in {".parquet", ".pq"}
                and found.is_file()
                and not any(part[0] in "._" for part in found.relative_to(path).parts)
            )
        )
    if not files:
        raise IngestError(f"{path} holds no Parquet file.", fix="give a folder of .parquet files")
    if empty := [file.name for file in files if file.stat().st_size == 0]:
        raise IngestError(f"{empty[0]} is an empty file.", fix="write it again, or leave it out")
    csv = files[0].suffix.lower() == ".csv"
    if not csv and files[0].suffix.lower() not in {".parquet", ".pq"}:
        raise IngestError(
            f"{files[0].name} is neither .parquet nor .csv.",
            fix="give a .parquet file, a folder of them, or a .csv file",
        )
    return files, csv


def _require(spec: DatasetSpec, schema: pa.Schema, file: Path) -> None:
    named = [spec.record_id, spec.subject_id, spec.label, *spec.features.names]
    for name in [*named, *([spec.split] if spec.split else [])]:
        if name not in schema.names:
            raise ColumnError(
                f"{file.name}: column {name!r} is missing (the file has {len(schema)} columns).",
                fix="add or rename the column, or mend the names in the dataset's spec",
            )


def _csv_types(spec: DatasetSpec, stored: tuple[pa.Field, ...]) -> dict[str, pa.DataType]:
    feature = feature_type(spec) if spec.features.columns else pa.string()
    types = {spec.record_id: pa.string(), spec.subject_id: pa.string(), spec.label: pa.int64()}
    types |= dict.fromkeys(spec.features.names, feature)
    types |= {spec.split: pa.string()} if spec.split else {}
    return types | {extra.name: extra.type for extra in stored}


def _csv_schema(
    file: Path, types: dict[str, pa.DataType]
) -> tuple[pa.Schema, dict[str, pa.DataType]]:
    """Schema, with the types inferred from the first block held for the rest of the file."""
    with _reading(file), _csv_reader(file, types) as reader:
        inferred = {
            column.name: pa.string() if pa.types.is_null(column.type) else column.type
            for column in reader.schema
        }
    return pa.schema(list(inferred.items())), inferred | types


def _csv_reader(file: Path, types: dict[str, pa.DataType]) -> pacsv.CSVStreamingReader:
    return pacsv.open_csv(
        file,
        read_options=pacsv.ReadOptions(use_threads=False, block_size=_CSV_BLOCK),
        parse_options=pacsv.ParseOptions(newlines_in_values=True),
        convert_options=pacsv.ConvertOptions(
            column_types=types, null_values=[""], strings_can_be_null=True
        ),
    )


def _csv_batches(file: Path, types: dict[str, pa.DataType]) -> Iterator[pa.RecordBatch]:
    with _reading(file), _csv_reader(file, types) as reader:
        yield from reader


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    """Turn pyarrow's errors about a file into ours, without the values they quote."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _refusal(file, error) from None


def _refusal(file: Path, error: Exception) -> IngestError:
    text = str(error)
    places = [("row", r"Row #(\d+)", 0), ("column", r"column #(\d+)", 1)]
    named = ((noun, re.search(pattern, text), base) for noun, pattern, base in places)
    where = ", ".join([file.name, *(f"{n} {int(m[1]) + b}" for n, m, b in named if m)])
    if isinstance(error, UnicodeDecodeError) or "invalid UTF8" in text:
        return IngestError(f"{where}: not UTF-8.", fix="convert it: iconv -f ... -t UTF-8")
    if wrong := re.search(r"conversion error to ([a-z0-9]+)", text):
        return ColumnError(f"{where}: a value is not {wrong[1]}.", fix="mend this row, or its type")
    if wrong := re.search(r"Expected (\d+) columns, got (\d+)", text):
        return IngestError(
            f"{where}: {wrong[2]} values where the header has {wrong[1]}.", fix="mend this row"
        )
    if file.suffix.lower() == ".csv":
        return IngestError(f"{where}: not a readable CSV file.", fix="write it again as CSV")
    return IngestError(
        f"{where}: not a readable Parquet file; it is truncated or corrupt.",
        fix="copy or write it again; `parquet-tools inspect FILE` shows its footer",
    )
