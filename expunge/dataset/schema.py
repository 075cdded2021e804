"""The stored schema: what every shard of a dataset looks like, whatever the source looked like.

Columns keep the names that the spec gives them. Record and subject ids are strings, the label is
int64 for a class and float64 for a real number, features are float32 (scalars, or one FixedSizeList
of the tensor's width) or encoded images, byte for byte, all without nulls; `role` and `_ingest` are
expunge's own; what else the source brings follows, nullable. A column that a later append added is
absent from older shards, which stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from expunge.dataset.errors import ColumnError
from expunge.dataset.labels import label_type
from expunge.specs import DatasetSpec

ROLE = "role"
INGEST = "_ingest"


def base_schema(spec: DatasetSpec) -> pa.Schema:
    """The columns that every shard has."""
    required = [
        (spec.record_id, pa.string()),
        (spec.subject_id, pa.string()),
        (spec.label, label_type(spec)),
        *((name, feature_type(spec)) for name in spec.features.names),
        (ROLE, pa.string()),
        (INGEST, pa.int32()),
    ]
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in required])


def feature_type(spec: DatasetSpec) -> pa.DataType:
    """Stored type of one feature column."""
    if spec.features.encoded:
        return pa.large_binary()
    if spec.features.columns:
        return pa.float32()
    return pa.list_(pa.field("element", pa.float32(), nullable=False), spec.features.width)


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type holds text, however it is written."""
    if pa.types.is_dictionary(kind):
        return is_text(kind.value_type)
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(test(kind) for test in tests)


def stored_schema(spec: DatasetSpec, extras: Iterable[pa.Field]) -> pa.Schema:
    """Base columns, then further ones."""
    return pa.schema([*base_schema(spec), *extras])


def extras_of(spec: DatasetSpec, schema: pa.Schema) -> tuple[pa.Field, ...]:
    """Columns of a source or a shard that the spec does not name, as they are stored."""
    named = {*base_schema(spec).names, *([spec.split] if spec.split else [])}
    return tuple(
        pa.field(field.name, _plain(field.type)) for field in schema if field.name not in named
    )


def refuse_reserved(spec: DatasetSpec, schema: pa.Schema, where: str) -> None:
    """A source may not bring columns that expunge writes itself."""
    for name in {ROLE, INGEST} - {spec.split}:
        if name in schema.names:
            raise ColumnError(
                f"{where} has a column {name!r}, which expunge writes itself.",
                fix="rename or drop the column"
                + (f", or name it as the spec's split: {name}" if name == ROLE else ""),
            )


def join_extras(
    known: Iterable[pa.Field], found: Iterable[pa.Field], where: str
) -> tuple[pa.Field, ...]:
    """Known further columns, then new ones; another type under a known name is refused."""
    joined = {field.name: field for field in known}
    for field in found:
        before = joined.setdefault(field.name, field)
        if before.type != field.type:
            raise ColumnError(
                f"{where}: column {field.name!r} has type {field.type}, stored is {before.type}.",
                fix="cast the column; an append may add columns but not change them",
            )
    return tuple(joined.values())


def _plain(kind: pa.DataType) -> pa.DataType:
    """One type for the several ways of writing the same values."""
    if pa.types.is_dictionary(kind):
        return _plain(kind.value_type)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind) or pa.types.is_null(kind):
        return pa.string()
    if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return pa.binary()
    return kind
