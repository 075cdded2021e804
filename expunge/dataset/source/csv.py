"""A CSV file in UTF-8 with a header; an empty value is a null."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv

from expunge.dataset.labels import label_type
from expunge.dataset.schema import feature_type
from expunge.dataset.source.part import sliced
from expunge.dataset.source.refusal import reading
from expunge.specs import DatasetSpec

_BLOCK = 8 << 20


@dataclass(frozen=True)
class CsvPart:
    """One CSV file. Its lines are counted with the header, so that its first row is 2."""

    file: Path
    schema: pa.Schema
    types: dict[str, pa.DataType] = field(repr=False)
    first_row: int = 2
    rows: None = None

    @property
    def name(self) -> str:
        """The file's name."""
        return self.file.name

    @classmethod
    def open(cls, spec: DatasetSpec, file: Path, stored: tuple[pa.Field, ...]) -> CsvPart:
        """Read the first block; types inferred from it hold for the rest of the file.

        Raises:
            IngestError: not UTF-8, or no CSV.
            ColumnError: a value of the first block is not of its column's type.
        """
        types = _types(spec, stored)
        with reading(file, "CSV"), _reader(file, types) as reader:
            inferred = {
                column.name: pa.string() if pa.types.is_null(column.type) else column.type
                for column in reader.schema
            }
        return cls(file, pa.schema(list(inferred.items())), inferred | types)

    def read(self) -> Iterator[pa.RecordBatch]:
        """See `Part.read`."""
        with reading(self.file, "CSV"), _reader(self.file, self.types) as reader:
            for block in reader:
                yield from sliced(block)


def _types(spec: DatasetSpec, stored: tuple[pa.Field, ...]) -> dict[str, pa.DataType]:
    """Types of the columns that spec or stored rows name; tensors and categories are text."""
    types = {spec.record_id: pa.string(), spec.subject_id: pa.string()}
    types[spec.label] = label_type(spec)
    for name in spec.features.names:
        texted = spec.features.column or name in spec.features.categories
        types[name] = pa.string() if texted else feature_type(spec)
    types |= {spec.split: pa.string()} if spec.split else {}
    return types | {extra.name: extra.type for extra in stored}


def _reader(file: Path, types: dict[str, pa.DataType]) -> pacsv.CSVStreamingReader:
    return pacsv.open_csv(
        file,
        read_options=pacsv.ReadOptions(use_threads=False, block_size=_BLOCK),
        parse_options=pacsv.ParseOptions(newlines_in_values=True),
        convert_options=pacsv.ConvertOptions(
            column_types=types, null_values=[""], strings_can_be_null=True
        ),
    )
