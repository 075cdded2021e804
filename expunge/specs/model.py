"""`models/NAME.yaml`: a governed model, its ladder of strategies, its gate and its budget."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from expunge.specs.base import Name, Spec
from expunge.specs.recipe import Recipe
from expunge.specs.rungs import Rung
from expunge.specs.task import TASKS, Loss, Task

Argument = int | float | str | bool | list[int] | list[float] | None


class GateSpec(Spec):
    """Margins of the gate (method.md, section 3) and what an inconclusive verdict does.

    With `approval: required` a candidate that passed waits for a person's yes, `approval_hours`
    long; without one the model is held.
    """

    hard_row_auc: Annotated[float, Field(gt=0, le=0.5)] = 0.15
    min_hard_rows: Annotated[int, Field(ge=2)] = 50
    held_out: Annotated[float, Field(gt=0, le=1)] = 0.01
    held_out_error: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="where the label is a real number: the share by which the "
            "mean absolute error on held-out rows may grow",
        ),
    ] = 0.05
    over_forgetting: Annotated[float, Field(gt=0, le=1)] = 0.15
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    inconclusive: Literal["wait", "retrain", "qualified"] = "retrain"
    min_rows: Annotated[int, Field(ge=1)] = 300
    max_wait_days: Annotated[int, Field(ge=1)] = 14
    near_deadline_days: Annotated[int, Field(ge=0)] = 5
    qualification_days: Annotated[
        int, Field(ge=1, description="how old an audit record may be for `qualified`")
    ] = 30
    approval: Literal["none", "required"] = "none"
    approval_hours: Annotated[float, Field(gt=0, le=24 * 30)] = 72

    def utility(self, task: Task) -> float:
        """The margin on held-out rows: of accuracy, or of the error's relative growth."""
        return self.held_out if task == "classification" else self.held_out_error


class BudgetSpec(Spec):
    """What edits may cost together since the last exact model; then the next batch retrains."""

    edits: Annotated[int, Field(ge=0)] | None = None
    held_out_loss: Annotated[float, Field(gt=0, le=1)] | None = None
    hard_row_auc: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None

    @property
    def limited(self) -> bool:
        """Whether anything is limited."""
        return (self.edits, self.held_out_loss, self.hard_row_auc) != (None, None, None)


class ReferenceSpec(Spec):
    """Reference models, trained on role R; they say which rows are hard.

    `shadows` are the models that LiRA compares with, in an audit with retrains; even in number.
    """

    models: Annotated[int, Field(ge=2, le=64)] = 4
    epochs: Annotated[float, Field(gt=0)] | None = None
    shadows: Annotated[int, Field(ge=4, le=256, multiple_of=2)] = 32


class ModelSpec(Spec):
    """`models/NAME.yaml`."""

    name: Name
    dataset: Name
    factory: str = Field(description="package.module:callable, or FILE.py:callable beside the spec")
    args: dict[str, int | float | str | bool | list[int] | list[float] | None] = Field(
        default_factory=dict
    )
    loss: Loss = "cross_entropy"
    recipe: Recipe
    ladder: Annotated[tuple[Rung, ...], Field(min_length=1)]
    ladder_order: Literal["spec", "audit"] = "spec"
    gate: GateSpec = GateSpec()
    budget: BudgetSpec = BudgetSpec()
    references: ReferenceSpec = ReferenceSpec()
    device: Literal["auto", "cpu", "cuda"] = "auto"
    while_held: Literal["serve", "withdraw"] = "serve"

    @property
    def task(self) -> Task:
        """What the model predicts of a row, by its loss."""
        return TASKS[self.loss]

    @field_validator("factory")
    @classmethod
    def _factory_form(cls, value: str) -> str:
        dotted, file = r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", r"[A-Za-z0-9_][\w-]*\.py:[A-Za-z_]\w*"
        if not re.fullmatch(f"{dotted}|{file}", value):
            raise ValueError("write package.module:callable, or FILE.py:callable beside the spec")
        return value

    @model_validator(mode="after")
    def _retrain_last(self) -> ModelSpec:
        kinds = [rung.strategy for rung in self.ladder]
        if kinds[-1] != "exact_retrain" or "exact_retrain" in kinds[:-1]:
            raise ValueError(
                "the ladder ends with exact_retrain, and has it nowhere else "
                "(fast_retrain may stand on any rung before it)"
            )
        return self
