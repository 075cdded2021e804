"""The two specs a user writes: `data/NAME.yaml` and `models/NAME.yaml`.

Validated by pydantic at the edge; an error names the file, the field, what was found and what
is allowed.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from expunge.errors import TerminalError

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
Column = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_ .-]{0,99}$")]
Share = Annotated[float, Field(gt=0, lt=1)]
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class SpecError(TerminalError):
    """A spec that cannot be used as it stands."""


class _Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Features(_Spec):
    """What the model reads: numeric `columns`, or one `column` of fixed-size tensors.

    `categorical` columns hold codes, which SPD-GAN leaves as they are.
    """

    columns: tuple[Column, ...] | None = None
    column: Column | None = None
    shape: tuple[Annotated[int, Field(gt=0)], ...] | None = None
    categorical: tuple[Column, ...] = ()

    @model_validator(mode="after")
    def _one_form(self) -> Features:
        if (self.columns is None) == (self.column is None):
            raise ValueError("give either `columns` or `column` with `shape`")
        if self.column is not None and not self.shape:
            raise ValueError("`column` needs `shape`, for example [1, 16, 16]")
        if self.columns is not None and (self.shape or not self.columns):
            raise ValueError("`columns` names at least one column and takes no `shape`")
        if self.columns is not None and len(set(self.columns)) != len(self.columns):
            raise ValueError("`columns` names a column twice")
        if unknown := set(self.categorical) - set(self.columns or ()):
            raise ValueError(f"`categorical` names {sorted(unknown)}, which `columns` does not")
        return self

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input, without the batch dimension."""
        return self.shape if self.shape else (len(self.columns or ()),)

    @property
    def names(self) -> tuple[str, ...]:
        """The feature columns of the stored table."""
        return self.columns if self.columns else (self.column or "",)

    @property
    def categorical_positions(self) -> tuple[int, ...]:
        """Places of the categorical columns in an input."""
        return tuple((self.columns or ()).index(name) for name in self.categorical)

    @property
    def width(self) -> int:
        """Numbers in one input."""
        return math.prod(self.input_shape)


class RoleShares(_Spec):
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


class Expectations(_Spec):
    """Bounds that a rewritten dataset has to keep."""

    max_label_drift: Annotated[float, Field(gt=0, le=1)] = 0.1
    min_rows: Annotated[int, Field(ge=1)] = 100
    min_rows_per_role: Annotated[int, Field(ge=1)] = 10


class DatasetSpec(_Spec):
    """`data/NAME.yaml`."""

    name: Name
    record_id: Column = "record_id"
    subject_id: Column = "subject_id"
    label: Column = "label"
    classes: Annotated[int, Field(ge=2, le=100_000)]
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

    @model_validator(mode="after")
    def _distinct_columns(self) -> DatasetSpec:
        names = [self.record_id, self.subject_id, self.label, *self.features.names]
        names += [self.split] if self.split else []
        if len(set(names)) != len(names):
            raise ValueError("record_id, subject_id, label, split and features need own columns")
        if reserved := {"role", "_ingest"} & ({*names} - {self.split}):
            raise ValueError(f"{sorted(reserved)} is reserved for expunge's own columns")
        return self


class RepairSpec(_Spec):
    """Training on the retain split after a perturbation: one cycle of AdamW (method.md, 5)."""

    epochs: Annotated[float, Field(gt=0, le=10_000)]
    lr: Annotated[float, Field(gt=0, le=10)] = 2e-3
    batch_size: Annotated[int, Field(ge=1)] = 64
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.0
    beta2: Annotated[float, Field(gt=0, lt=1)] = 0.98
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.1
    schedule: Literal["one_cycle", "constant"] = "one_cycle"


class Recipe(RepairSpec):
    """How a network is trained from scratch."""

    seed: Annotated[int, Field(ge=0)] = 0


Noise = Literal["additive", "variance_preserving", "shrink", "reinit"]


class _Rung(_Spec):
    """One rung of a ladder; `exact` says that nothing of the champion is left."""

    exact: ClassVar[bool] = False


class _SalientRung(_Rung):
    fraction: Annotated[float, Field(gt=0, le=1)]
    noise: Noise = "variance_preserving"
    scale: Annotated[float, Field(gt=0, le=100)] = 1.0
    saliency: Literal["fisher", "gradient", "weight_gradient"] = "fisher"
    microbatch: Annotated[int, Field(ge=1)] = 8
    per_layer: bool = False
    repair: RepairSpec | None = None


class TopKRung(_SalientRung):
    """Perturb the K parameters with the largest saliency to the forgotten rows."""

    strategy: Literal["top_k"]


class BottomKRung(_SalientRung):
    """Perturb the K parameters with the smallest saliency to the forgotten rows."""

    strategy: Literal["bottom_k"]


class RandomKRung(_Rung):
    """Perturb K parameters chosen by a keyed hash."""

    strategy: Literal["random_k"]
    fraction: Annotated[float, Field(gt=0, le=1)]
    noise: Noise = "variance_preserving"
    scale: Annotated[float, Field(gt=0, le=100)] = 1.0
    repair: RepairSpec | None = None


class GlobalPerturbationRung(_Rung):
    """Perturb every parameter."""

    strategy: Literal["global_perturbation"]
    noise: Noise = "variance_preserving"
    scale: Annotated[float, Field(gt=0, le=100)] = 1.0
    repair: RepairSpec | None = None


class FineTuneRung(_Rung):
    """Go on training, on the retain split alone."""

    strategy: Literal["fine_tune"]
    repair: RepairSpec


Clip = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class GradientAscentRung(_Rung):
    """Raise the loss on the forget split; the recipe's epochs are passes over it."""

    strategy: Literal["gradient_ascent"]
    recipe: RepairSpec
    clip: Clip | None = 1.0


class NegGradPlusRung(_Rung):
    """Lower `alpha` times the loss on the retain, less 1 − `alpha` times the forget loss."""

    strategy: Literal["neggrad_plus"]
    recipe: RepairSpec
    alpha: Annotated[float, Field(ge=0, le=1)] = 0.95
    clip: Clip | None = 1.0


class SSDRung(_Rung):
    """Dampen parameters that matter `alpha` times more to the forget split than to all rows."""

    strategy: Literal["ssd"]
    alpha: Annotated[float, Field(gt=0, le=1e6)] = 10.0
    dampening: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    microbatch: Annotated[int, Field(ge=1)] = 8
    sample: Annotated[int, Field(ge=1, description="retain rows read, at most")] = 10_000


class SalUnRung(_Rung):
    """Train the weights most salient to the forget split, with random labels on that."""

    strategy: Literal["salun"]
    recipe: RepairSpec
    fraction: Annotated[float, Field(gt=0, le=1)] = 0.5
    microbatch: Annotated[int, Field(ge=1)] = 64

    @model_validator(mode="after")
    def _no_decay(self) -> SalUnRung:
        if self.recipe.weight_decay:
            raise ValueError("salun trains without weight_decay: it would move every weight")
        return self


class FastRecipe(RepairSpec):
    """A short training from scratch: small batches, one cycle, no decay (method.md, 5)."""

    batch_size: Annotated[int, Field(ge=1)] = 32


class FastRetrainRung(_Rung):
    """Train from scratch on the retain split by a short recipe; exact, and anywhere but last."""

    strategy: Literal["fast_retrain"]
    recipe: FastRecipe
    exact: ClassVar[bool] = True


class ExactRetrainRung(_Rung):
    """Train from scratch on the retain split; the recipe is the champion's unless given."""

    strategy: Literal["exact_retrain"]
    recipe: Recipe | None = None
    exact: ClassVar[bool] = True


Rung = Annotated[
    TopKRung
    | BottomKRung
    | RandomKRung
    | GlobalPerturbationRung
    | FineTuneRung
    | GradientAscentRung
    | NegGradPlusRung
    | SSDRung
    | SalUnRung
    | FastRetrainRung
    | ExactRetrainRung,
    Field(discriminator="strategy"),
]


class GateSpec(_Spec):
    """Margins of the gate (method.md, section 3) and what an inconclusive verdict does."""

    hard_row_auc: Annotated[float, Field(gt=0, le=0.5)] = 0.15
    min_hard_rows: Annotated[int, Field(ge=2)] = 50
    held_out: Annotated[float, Field(gt=0, le=1)] = 0.01
    over_forgetting: Annotated[float, Field(gt=0, le=1)] = 0.15
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    inconclusive: Literal["wait", "retrain", "qualified"] = "retrain"
    min_rows: Annotated[int, Field(ge=1)] = 300
    max_wait_days: Annotated[int, Field(ge=1)] = 14
    near_deadline_days: Annotated[int, Field(ge=0)] = 5
    qualification_days: Annotated[
        int, Field(ge=1, description="how old an audit record may be for `qualified`")
    ] = 30


class BudgetSpec(_Spec):
    """What edits may cost together since the last exact model; then the next batch retrains."""

    edits: Annotated[int, Field(ge=0)] | None = None
    held_out_loss: Annotated[float, Field(gt=0, le=1)] | None = None
    hard_row_auc: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None

    @property
    def limited(self) -> bool:
        """Whether anything is limited."""
        return (self.edits, self.held_out_loss, self.hard_row_auc) != (None, None, None)


class ReferenceSpec(_Spec):
    """Reference models, trained on role R; they say which rows are hard.

    `shadows` are the models that LiRA compares with, in an audit with retrains; even in number.
    """

    models: Annotated[int, Field(ge=2, le=64)] = 4
    epochs: Annotated[float, Field(gt=0)] | None = None
    shadows: Annotated[int, Field(ge=4, le=256, multiple_of=2)] = 32


class ModelSpec(_Spec):
    """`models/NAME.yaml`."""

    name: Name
    dataset: Name
    factory: str = Field(description="package.module:callable, or FILE.py:callable beside the spec")
    args: dict[str, int | float | str | bool | list[int] | list[float] | None] = {}
    loss: Literal["cross_entropy"] = "cross_entropy"
    recipe: Recipe
    ladder: Annotated[tuple[Rung, ...], Field(min_length=1)]
    ladder_order: Literal["spec", "audit"] = "spec"
    gate: GateSpec = GateSpec()
    budget: BudgetSpec = BudgetSpec()
    references: ReferenceSpec = ReferenceSpec()
    device: Literal["auto", "cpu", "cuda"] = "auto"
    while_held: Literal["serve", "withdraw"] = "serve"

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


S = TypeVar("S", bound=_Spec)


def checked_name(name: str, noun: str) -> str:
    """A dataset or model name that is safe as a file name, or an error."""
    if not _NAME.fullmatch(name):
        raise SpecError(
            f"{name!r} is not a valid {noun} name.",
            fix="use lower-case letters, digits, '-' and '_', at most 63, no path separators",
        )
    return name


def load_dataset_spec(path: Path) -> DatasetSpec:
    """Read and check `data/NAME.yaml`."""
    return _load(path, DatasetSpec)


def load_model_spec(path: Path) -> ModelSpec:
    """Read and check `models/NAME.yaml`."""
    return _load(path, ModelSpec)


def _load(path: Path, kind: type[S]) -> S:
    where = f"{path.parent.name}/{path.name}"
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SpecError(
            f"There is no spec {where}.", fix=f"write {where}, or mend the name"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SpecError(f"{where} is not YAML in UTF-8: {error}", fix=f"edit {where}") from None
    if not isinstance(raw, dict):
        raise SpecError(f"{where} is not a mapping of fields.", fix=f"edit {where}")
    try:
        spec = kind.model_validate(raw)
    except ValidationError as error:
        raise SpecError(_explain(where, error), fix=f"edit {where}") from None
    if spec.name != path.stem:  # type: ignore[attr-defined]
        raise SpecError(
            f"{where}: field name: found {spec.name!r}, allowed {path.stem!r} (the file's name).",  # type: ignore[attr-defined]
            fix=f"edit {where}",
        )
    return spec


def _explain(where: str, error: ValidationError) -> str:
    lines = [f"{where} has {error.error_count()} field(s) that cannot be used:"]
    for problem in error.errors(include_url=False):
        field = ".".join(str(part) for part in problem["loc"]) or "(whole file)"
        lines.append(f"    field {field}: found {_found(problem)}, allowed: {problem['msg']}")
    return "\n".join(lines)


def _found(problem: Any) -> str:
    if problem["type"] == "missing":
        return "nothing"
    shown = repr(problem["input"])
    return shown if len(shown) <= 60 else shown[:57] + "..."
