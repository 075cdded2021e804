"""One batch of a source, turned into stored columns or refused.

A refusal names the file, the column and the row number, never what the row holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from expunge.dataset.errors import ColumnError, ValueRefusedError
from expunge.dataset.placement import ROLES
from expunge.dataset.schema import ROLE, feature_type
from expunge.specs import DatasetSpec


@dataclass(frozen=True)
class Origin:
    """Where a batch comes from."""

    file: str
    first_row: int
    """Number of the batch's first row, as a reader of the file counts it."""

    def refuse(self, column: str, bad: npt.NDArray[np.bool_], why: str, fix: str) -> None:
        """Raise when any row of `bad` is set."""
        rows = np.flatnonzero(bad)
        if rows.size:
            raise ValueRefusedError(
                f"{self.file}, column {column!r}, row {self.first_row + int(rows[0])}: {why}"
                f" ({rows.size} such row(s) in this part of the file).",
                fix=fix,
            )


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
    read = _scalar if spec.features.columns else _tensor
    for name in spec.features.names:
        columns[name] = read(_column(batch, name, origin), name, spec, origin)
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


def _mistyped(origin: Origin, name: str, kind: pa.DataType, allowed: str) -> ColumnError:
    return ColumnError(
        f"{origin.file}: column {name!r} has type {kind}, allowed: {allowed}.",
        fix="cast the column, or mend the names in the dataset's spec",
    )


def _identifier(array: pa.Array, name: str, origin: Origin) -> pa.Array:
    kind = array.type.value_type if pa.types.is_dictionary(array.type) else array.type
    texts: tuple[Callable[[pa.DataType], bool], ...] = (
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_string_view,
        pa.types.is_integer,
    )
    if not (pa.types.is_null(kind) or any(test(kind) for test in texts)):
        raise _mistyped(origin, name, array.type, "string or integer")
    texted = array.cast(pa.string())
    empty = pc.fill_null(pc.equal(pc.binary_length(texted), 0), True)
    origin.refuse(name, _flags(empty), "null or empty", "every row needs one; drop or mend these")
    return texted


def _label(array: pa.Array, spec: DatasetSpec, origin: Origin) -> pa.Array:
    if not (pa.types.is_integer(array.type) or pa.types.is_null(array.type)):
        raise _mistyped(origin, spec.label, array.type, "integer")
    origin.refuse(spec.label, _flags(array.is_null()), "null", "drop or label these rows")
    labels = array.cast(pa.int64(), safe=False)
    outside = pc.or_(pc.less(labels, 0), pc.greater_equal(labels, spec.classes))
    allowed = f"labels run from 0 to {spec.classes - 1}"
    origin.refuse(spec.label, _flags(outside), "label out of range", f"{allowed} (spec: classes)")
    return labels


def _numeric(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _scalar(array: pa.Array, name: str, spec: DatasetSpec, origin: Origin) -> pa.Array:
    kind = array.type
    if not (_numeric(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind)):
        raise _mistyped(origin, name, kind, "a number")
    origin.refuse(name, _flags(array.is_null()), "null", "fill in or drop these rows")
    values = array.cast(pa.float32(), safe=False)
    finite = np.isfinite(values.to_numpy(zero_copy_only=False))
    origin.refuse(name, ~finite, "NaN, Inf or beyond float32", "drop or mend these rows")
    return values


def _tensor(array: pa.Array, name: str, spec: DatasetSpec, origin: Origin) -> pa.Array:
    """Any nesting of lists of numbers, row-major, to one FixedSizeList of the tensor's width."""
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        array = _parsed(array, name, origin)
    allowed = f"a list of {spec.features.width} numbers"
    origin.refuse(name, _flags(array.is_null()), "null", f"give {allowed}, or drop these rows")
    width = spec.features.width
    if pa.types.is_fixed_size_list(array.type) and array.type.list_size == width:
        values = array.flatten()
        if pa.types.is_float32(values.type) and not values.null_count:
            return _finite(values, name, spec, origin)
    flat, rows = array, np.arange(len(array))
    while _listed(flat.type):
        parents = pc.list_parent_indices(flat).to_numpy(zero_copy_only=False)
        flat, rows = pc.list_flatten(flat), rows[parents]
    if flat is array or not _numeric(flat.type):
        raise _mistyped(origin, name, array.type, allowed)
    lengths = np.bincount(rows, minlength=len(array))
    origin.refuse(name, lengths != width, f"not {width} numbers", "shape in the spec, or the rows")
    missing = np.bincount(rows, _flags(flat.is_null()), len(array)) > 0
    origin.refuse(name, missing, "null inside the tensor", "fill in or drop these rows")
    return _finite(flat.cast(pa.float32(), safe=False), name, spec, origin)


def _finite(values: pa.Array, name: str, spec: DatasetSpec, origin: Origin) -> pa.Array:
    """Tensors of all these numbers, when all are finite."""
    finite = np.isfinite(values.to_numpy())
    if not finite.all():
        bad = ~finite.reshape(-1, spec.features.width).all(axis=1)
        origin.refuse(name, bad, "NaN, Inf or beyond float32", "drop or mend these rows")
    return pa.FixedSizeListArray.from_arrays(values, type=feature_type(spec))


def _listed(kind: pa.DataType) -> bool:
    tests = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(test(kind) for test in tests)


def _parsed(array: pa.Array, name: str, origin: Origin) -> pa.Array:
    """A tensor as text (CSV): numbers between commas, semicolons or blanks."""
    bare = pc.utf8_trim(array, " []()")
    numbers = pc.split_pattern_regex(bare, pattern=r"[\s,;]+")
    try:
        return numbers.cast(pa.list_(pa.float64()))
    except pa.ArrowInvalid:
        odd = pc.invert(pc.match_substring_regex(bare, r"^[\d\s,;.eE+\-naifNAIF]*$"))
        origin.refuse(name, _flags(pc.fill_null(odd, True)), "not numbers", "mend these rows")
        raise _mistyped(origin, name, array.type, "numbers between commas or blanks") from None


def _role(array: pa.Array, name: str, origin: Origin) -> pa.Array:
    allowed = pa.array(ROLES)
    try:
        position = pc.index_in(array.cast(pa.string()), value_set=allowed)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise _mistyped(origin, name, array.type, "T, V, R, F or E") from None
    fix = "each row's role is one of T, V, R, F, E"
    origin.refuse(name, _flags(position.is_null()), "not a role", fix)
    return position.cast(pa.int8())


def _flags(array: pa.Array) -> npt.NDArray[np.bool_]:
    return np.asarray(array.to_numpy(zero_copy_only=False), dtype=bool)
