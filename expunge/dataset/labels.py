"""The label of a row: how it is stored, and in which cell of a version's counts it falls.

A class is its own cell. A real number falls in one of the spec's bins; the highest value of the
range belongs to the last bin. Cells do not depend on the rows, so that counts add and subtract.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from expunge.specs import DatasetSpec

Cells = npt.NDArray[np.int64]


def label_type(spec: DatasetSpec) -> pa.DataType:
    """How labels are stored, and read for training: int64, or float64."""
    return pa.int64() if spec.task == "classification" else pa.float64()


def cells(spec: DatasetSpec) -> int:
    """How many cells labels are counted in: classes, or bins."""
    return spec.values.bins if spec.values else spec.classes or 0


def cell_of(labels: npt.NDArray[Any], spec: DatasetSpec) -> Cells:
    """The cell of each label [n]; −1 for a label that the spec does not allow, NaN among them."""
    if spec.values is None:
        allowed = (labels >= 0) & (labels < cells(spec))
        return np.where(allowed, labels, -1).astype(np.int64)
    low, high, bins = spec.values.low, spec.values.high, spec.values.bins
    allowed = (labels >= low) & (labels <= high)
    share = (np.where(allowed, labels, low) - low) / (high - low)
    return np.where(allowed, np.minimum((share * bins).astype(np.int64), bins - 1), -1)


def allowed_labels(spec: DatasetSpec) -> str:
    """Which labels the spec allows, in words."""
    if spec.values is None:
        return f"labels run from 0 to {cells(spec) - 1} (spec: classes)"
    return f"labels lie in {spec.values.low:g} … {spec.values.high:g} (spec: values)"


def described(spec: DatasetSpec) -> Mapping[str, float]:
    """What the manifest keeps of the spec's `values`; nothing of classes, which it counts."""
    kept = spec.values.model_dump() if spec.values else {}
    return {name: float(value) for name, value in kept.items()}
