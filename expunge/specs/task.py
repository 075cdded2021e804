"""What a model predicts of a row: which class it is of, or a real number.

The dataset's spec says it by its label, `classes` or `values`; the model's spec by its loss. All
that differs between the two tasks hangs on this word, or on the type of the labels: whole numbers
are classes, real numbers are not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from expunge.specs.base import Spec

Task: TypeAlias = Literal["classification", "regression"]
Loss: TypeAlias = Literal["cross_entropy", "squared_error", "absolute_error"]

TASKS: Mapping[Loss, Task] = {
    "cross_entropy": "classification",
    "squared_error": "regression",
    "absolute_error": "regression",
}
"""The task that a loss is for."""

Finite = Annotated[float, Field(allow_inf_nan=False)]


class LabelValues(Spec):
    """A label that is a real number: its range, and how many bins its distribution is counted in.

    Rows whose label lies outside `low` … `high` are refused at ingest. The bins are of one width,
    and the same for ever: counts of a version follow from those before it, and no edge of a bin
    is the label of somebody who may be erased.
    """

    low: Finite
    high: Finite
    bins: Annotated[int, Field(ge=2, le=10_000)] = 20

    @model_validator(mode="after")
    def _range(self) -> LabelValues:
        if not self.low < self.high:
            raise ValueError(f"low is {self.low:g}, which is not below high, {self.high:g}")
        return self
