"""One feature column of a source, turned into the stored one or refused.

An encoded image is decoded here and thrown away again: what is stored can be trained on.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from expunge.dataset.images import Decoder
from expunge.dataset.origin import Origin, flags
from expunge.dataset.schema import feature_type, is_text
from expunge.specs import DatasetSpec


def feature(array: pa.Array, name: str, spec: DatasetSpec, origin: Origin) -> pa.Array:
    """The column `name` as `feature_type` stores it.

    Raises:
        ColumnError: a type that cannot be stored.
        ValueRefusedError: a null, unknown level, NaN, Inf, tensor of another width, or image that
            is damaged.
    """
    if spec.features.encoded:
        return _images(array, name, spec, origin)
    if name in spec.features.categories:
        return _codes(array, name, spec, origin)
    if spec.features.columns:
        return _scalar(array, name, origin)
    return _tensor(array, name, spec, origin)


def _numeric(kind: pa.DataType) -> bool:
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)
    return any(test(kind) for test in tests)


def _scalar(array: pa.Array, name: str, origin: Origin) -> pa.Array:
    kind = array.type
    if not (_numeric(kind) or pa.types.is_null(kind)):
        raise origin.mistyped(name, kind, "a number")
    origin.refuse(name, flags(array.is_null()), "null", "fill in or drop these rows")
    values = array.cast(pa.float32(), safe=False)
    finite = np.isfinite(values.to_numpy(zero_copy_only=False))
    origin.refuse(name, ~finite, "NaN, Inf or beyond float32", "drop or mend these rows")
    return values


def _codes(array: pa.Array, name: str, spec: DatasetSpec, origin: Origin) -> pa.Array:
    """Levels by their place in the spec's list; whole numbers are levels as they are written."""
    if not (is_text(array.type) or pa.types.is_integer(array.type)):
        raise origin.mistyped(name, array.type, "text or integer, to be found in `categories`")
    origin.refuse(name, flags(array.is_null()), "null", "fill in or drop these rows")
    levels = spec.features.categories[name]
    found = pc.index_in(array.cast(pa.string()), value_set=pa.array(levels, pa.string()))
    if spec.features.unknown == "refuse":
        fix = "list the level in `categories`, mend these rows, or say `unknown: own_code`"
        origin.refuse(name, flags(found.is_null()), f"none of its {len(levels)} levels", fix)
    return pc.fill_null(found, len(levels)).cast(pa.float32())


def _tensor(array: pa.Array, name: str, spec: DatasetSpec, origin: Origin) -> pa.Array:
    """Any nesting of lists of numbers, row-major, to one FixedSizeList of the tensor's width."""
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        array = _parsed(array, name, origin)
    allowed = f"a list of {spec.features.width} numbers"
    origin.refuse(name, flags(array.is_null()), "null", f"give {allowed}, or drop these rows")
    width = spec.features.width
    if pa.types.is_fixed_size_list(array.type) and array.type.list_size == width:
        values = array.flatten()
        if _numeric(values.type) and not values.null_count:
            return _finite(values.cast(pa.float32(), safe=False), name, spec, origin)
    flat, rows = array, np.arange(len(array))
    while _listed(flat.type):
        parents = pc.list_parent_indices(flat).to_numpy(zero_copy_only=False)
        flat, rows = pc.list_flatten(flat), rows[parents]
    if flat is array or not _numeric(flat.type):
        raise origin.mistyped(name, array.type, allowed)
    lengths = np.bincount(rows, minlength=len(array))
    origin.refuse(name, lengths != width, f"not {width} numbers", "shape in the spec, or the rows")
    missing = np.bincount(rows, flags(flat.is_null()), len(array)) > 0
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
        origin.refuse(name, flags(pc.fill_null(odd, True)), "not numbers", "mend these rows")
        raise origin.mistyped(name, array.type, "numbers between commas or blanks") from None


def _images(array: pa.Array, name: str, spec: DatasetSpec, origin: Origin) -> pa.Array:
    """PNG or JPEG files, as they are; `datasets` keeps them in a struct with their path."""
    found = array
    if pa.types.is_struct(array.type) and array.type.get_field_index("bytes") >= 0:
        found = pc.struct_field(array, "bytes")
    tests = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
    if not any(test(found.type) for test in tests):
        raise origin.mistyped(name, array.type, "binary (PNG or JPEG files), or their file names")
    fix = "every row needs its image's bytes; save them with the rows, or drop these"
    origin.refuse(name, flags(found.is_null()), "no image", fix)
    decoder = Decoder.of(spec.features)
    found = found.cast(pa.large_binary())
    faults = [decoder.fault(memoryview(value.as_buffer())) for value in found]
    bad = np.array([fault is not None for fault in faults], bool)
    first = next((fault for fault in faults if fault), "")
    origin.refuse(name, bad, first, "mend or drop these images, or the spec's shape (or `resize`)")
    return found
