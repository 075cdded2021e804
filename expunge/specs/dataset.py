"""`data/NAME.yaml`: the columns of a dataset, the roles of its people, what a version must keep."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from expunge.specs.base import Column, Name, Share, Spec
from expunge.specs.features import Features
from expunge.specs.task import LabelValues, Task


class RoleShares(Spec):
    """Share of subjects in each role (method.md, section 1)."""

    T: Share = 0.65
    V: Share = 0.05
    R: Share = 0.12
    F: Share = 0.06
    E: Share = 0.12

    @model_validator(mode="after")
    def _sum(self) -> RoleShares:
        total = self.T + self.V + self.R + self.F + self.E
        if abs(total - 1) > 1e-9:
            raise ValueError(f"the shares of the roles sum to {total:g}, not 1")
        return self


class Expectations(Spec):
    """Bounds that a rewritten dataset has to keep."""

    max_label_drift: Annotated[float, Field(gt=0, le=1)] = 0.1
    min_rows: Annotated[int, Field(ge=1)] = 100
    min_rows_per_role: Annotated[int, Field(ge=1)] = 10


class DatasetSpec(Spec):
    """`data/NAME.yaml`."""

    name: Name
    record_id: Column = "record_id"
    subject_id: Column = "subject_id"
    label: Column = "label"
    classes: Annotated[int, Field(ge=2, le=100_000)] | None = Field(
        default=None, description="the label is a class, a whole number from 0 to classes - 1"
    )
    values: LabelValues | None = Field(
        default=None, description="the label is a real number in this range, in place of `classes`"
    )
    features: Features
    shards: Annotated[int, Field(ge=1, le=4096)] = 64
    roles: RoleShares = RoleShares()
    split: Column | None = Field(
        default=None, description="a given column of T, V, R, F or E, in place of the keyed hash"
    )
    min_held_out_subjects: Annotated[int, Field(ge=1)] = 20
    reappearance: Literal["block", "allow_after_erasure"] = "block"
    expectations: Expectations = Expectations()
    retest_days: int = Field(
        default=0,
        ge=0,
        le=36_500,
        description="for how many days after an erasure the sealed rows may be read, to test "
        "later models on them again; 0: never",
    )

    @property
    def task(self) -> Task:
        """What a model predicts of a row: a class, or a real number."""
        return "classification" if self.values is None else "regression"

    @model_validator(mode="after")
    def _one_task(self) -> DatasetSpec:
        if (self.classes is None) == (self.values is None):
            raise ValueError(
                "give either `classes`, where the label is a class, or `values` with its range, "
                "where it is a real number"
            )
        return self

    @model_validator(mode="after")
    def _distinct_columns(self) -> DatasetSpec:
        names = [self.record_id, self.subject_id, self.label, *self.features.names]
        names += [self.split] if self.split else []
        if len(set(names)) != len(names):
            raise ValueError("record_id, subject_id, label, split and features need own columns")
        if reserved := {"role", "_ingest"} & ({*names} - {self.split}):
            raise ValueError(f"{sorted(reserved)} is reserved for expunge's own columns")
        return self
