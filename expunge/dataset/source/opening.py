"""Which format a source has, and whether its columns are those of the spec."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from expunge.dataset.errors import ColumnError, IngestError
from expunge.dataset.origin import Origin
from expunge.dataset.schema import extras_of, is_text, join_extras, refuse_reserved
from expunge.dataset.source.csv import CsvPart
from expunge.dataset.source.huggingface import HuggingFacePart, is_saved_dataset
from expunge.dataset.source.imagefiles import ImageFiles
from expunge.dataset.source.npz import NpzPart
from expunge.dataset.source.numbered import Numbered
from expunge.dataset.source.parquet import ParquetPart
from expunge.dataset.source.part import Part, batch_rows, cut
from expunge.specs import DatasetSpec

_PARQUET = {".parquet", ".pq"}


@dataclass(frozen=True)
class Source:
    """Everything that one ingest reads."""

    parts: tuple[Part, ...]
    extras: tuple[pa.Field, ...]
    """Further columns, the stored ones first."""
    row_bytes: int
    """Of a row's features as they are stored; a source may hold them in a quarter of that."""

    @property
    def rows(self) -> int | None:
        """Rows in all, where the format says so."""
        counts = [part.rows for part in self.parts]
        return None if None in counts else sum(count or 0 for count in counts)

    def batches(self) -> Iterator[tuple[Origin, pa.RecordBatch]]:
        """The rows, in the order of the files, in bounded batches.

        Raises:
            IngestError: a file is damaged, or a value is not of its column's type.
        """
        for part in self.parts:
            row = part.first_row
            for batch in part.read():
                for piece in cut(batch, batch_rows(self.row_bytes)):
                    yield Origin(part.name, row), piece
                    row += piece.num_rows


def open_source(
    spec: DatasetSpec, path: Path, stored_extras: tuple[pa.Field, ...], *, append: bool = False
) -> Source:
    """Find the files and check their schemas. `append`: their rows join others.

    Raises:
        IngestError: absent, empty, corrupt, or of a format that is not read.
        ColumnError: files that disagree with each other or with what is stored.
    """
    if not path.exists():
        raise IngestError(f"There is nothing at {path}.", fix="mend the path after --from")
    parts = _parts(spec, path, stored_extras, append=append)
    extras = stored_extras
    for part in parts:
        _require(spec, part)
        refuse_reserved(spec, part.schema, part.name)
        extras = join_extras(extras, extras_of(spec, part.schema), part.name)
    return Source(parts, extras, 0 if spec.features.encoded else 4 * spec.features.width)


def _parts(
    spec: DatasetSpec, path: Path, stored: tuple[pa.Field, ...], *, append: bool
) -> tuple[Part, ...]:
    if path.is_dir() and is_saved_dataset(path):
        return (_identified(spec, HuggingFacePart.open(path), append=append),)
    if path.is_dir():
        return tuple(_parquet(spec, file) for file in _parquet_files(path))
    _refuse_empty(path)
    match path.suffix.lower():
        case ".csv":
            return (_with_images(spec, CsvPart.open(spec, path, stored), path.parent),)
        case ".npz":
            return (_identified(spec, NpzPart.open(spec, path), append=append),)
        case suffix if suffix in _PARQUET:
            return (_parquet(spec, path),)
    raise IngestError(
        f"{path.name} is neither .parquet, .csv nor .npz.",
        fix="give a .parquet, .csv or .npz file, or a folder of .parquet files",
    )


def _parquet(spec: DatasetSpec, file: Path) -> Part:
    return _with_images(spec, ParquetPart.open(spec, file), file.parent)


def _with_images(spec: DatasetSpec, part: Part, folder: Path) -> Part:
    """The part, its images read from their files where its column is one of text."""
    column = spec.features.column or ""
    at = part.schema.get_field_index(column)
    if not spec.features.encoded or at < 0 or not is_text(part.schema.field(at).type):
        return part
    return ImageFiles(part, column, folder)


def _identified(spec: DatasetSpec, part: Part, *, append: bool) -> Part:
    """The part, its rows numbered where it names no record ids."""
    if spec.record_id in part.schema.names:
        return part
    if append:
        raise ColumnError(
            f"{part.name} has no {spec.record_id!r}, and the dataset has rows already: numbers "
            "from r0 on would be taken for theirs.",
            fix=f"add {spec.record_id!r}, or replace all rows: --mode replace",
        )
    return Numbered(part, spec.record_id)


def _parquet_files(folder: Path) -> list[Path]:
    files = sorted(
        found
        for found in folder.rglob("*")
        if found.suffix.lower() in _PARQUET
        and found.is_file()
        and not any(part[0] in "._" for part in found.relative_to(folder).parts)
    )
    if not files:
        raise IngestError(
            f"{folder} holds no Parquet file.",
            fix="give a folder of .parquet files, a saved `datasets` folder, or the manifest "
            "(.csv or .parquet) of a folder of images",
        )
    for file in files:
        _refuse_empty(file)
    return files


def _refuse_empty(file: Path) -> None:
    if file.stat().st_size == 0:
        raise IngestError(f"{file.name} is an empty file.", fix="write it again, or leave it out")


def _require(spec: DatasetSpec, part: Part) -> None:
    named = [spec.record_id, spec.subject_id, spec.label, *spec.features.names]
    for name in [*named, *([spec.split] if spec.split else [])]:
        if name not in part.schema.names:
            raise ColumnError(
                f"{part.name}: column {name!r} is missing (it has {len(part.schema)} columns).",
                fix="add or rename the column, or mend the names in the dataset's spec",
            )
