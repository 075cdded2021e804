"""One batch of a source, turned into stored columns or refused.

A refusal names the file, the column and the row number, never what the row holds.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from expunge.dataset.errors import ColumnError
from expunge.dataset.features import feature
from expunge.dataset.labels import allowed_labels, cell_of, label_type
from expunge.dataset.origin import Origin, flags
from expunge.dataset.placement import ROLES
from expunge.dataset.schema import ROLE, is_text
from expunge.specs import DatasetSpec


def normalise(
    batch: pa.RecordBatch, spec: DatasetSpec, extras: tuple[pa.Field, ...], origin: Origin
) -> dict[str, pa.Array]:
    """Columns of the stored schema but for `_ingest`; `role` (int8) only with a given split.

    Raises:
        ColumnError: a column is missing or has a type that cannot be stored.
        ValueRefusedError: a null, NaN, Inf, label out of range, or tensor of another width.
    """
    columns: dict[str, pa.Array] = {}
    for name in (spec.record_id, spec.subject_id):
        columns[name] = _identifier(_column(batch, name, origin), name, origin)
    columns[spec.label] = _label(_column(batch, spec.label, origin), spec, origin)
    for name in spec.features.names:
        columns[name] = feature(_column(batch, name, origin), name, spec, origin)
    if spec.split:
        columns[ROLE] = _role(_column(batch, spec.split, origin), spec.split, origin)
    for field in extras:
        found = batch.schema.get_field_index(field.name)
        absent = found < 0 or pa.types.is_null(batch.schema.field(found).type)
        columns[field.name] = (
            pa.nulls(batch.num_rows, field.type) if absent else batch.column(found).cast(field.type)
        )
    return columns


def _column(batch: pa.RecordBatch, name: str, origin: Origin) -> pa.Array:
    positions = batch.schema.get_all_field_indices(name)
    if len(positions) != 1:
        found = "missing" if not positions else f"there {len(positions)} times"
        raise ColumnError(
            f"{origin.file}: column {name!r} is {found}.",
            fix="add or rename the column, or mend the names in the dataset's spec",
        )
    return batch.column(positions[0])


def _identifier(array: pa.Array, name: str, origin: Origin) -> pa.Array:
    kind = array.type.value_type if pa.types.is_dictionary(array.type) else array.type
    if not (pa.types.is_null(kind) or is_text(kind) or pa.types.is_integer(kind)):
        raise origin.mistyped(name, array.type, "string or integer")
    texted = array.cast(pa.string())
    empty = pc.fill_null(pc.equal(pc.binary_length(texted), 0), True)
    origin.refuse(name, flags(empty), "null or empty", "every row needs one; drop or mend these")
    return texted


def _label(array: pa.Array, spec: DatasetSpec, origin: Origin) -> pa.Array:
    kind, real = array.type, spec.task == "regression"
    number = pa.types.is_integer(kind) or (real and pa.types.is_floating(kind))
    if not (number or pa.types.is_null(kind)):
        raise origin.mistyped(spec.label, kind, "a number" if real else "integer")
    origin.refuse(spec.label, flags(array.is_null()), "null", "drop or label these rows")
    labels = array.cast(label_type(spec), safe=False)
    values = labels.to_numpy(zero_copy_only=False)
    origin.refuse(spec.label, ~np.isfinite(values), "NaN or Inf", "drop or mend these rows")
    outside = cell_of(values, spec) < 0
    origin.refuse(spec.label, outside, "label out of range", allowed_labels(spec))
    return labels


def _role(array: pa.Array, name: str, origin: Origin) -> pa.Array:
    allowed = pa.array(ROLES)
    try:
        position = pc.index_in(array.cast(pa.string()), value_set=allowed)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise origin.mistyped(name, array.type, "T, V, R, F or E") from None
    fix = "each row's role is one of T, V, R, F, E"
    origin.refuse(name, flags(position.is_null()), "not a role", fix)
    return position.cast(pa.int8())
