"""The rungs of a ladder: one class for each strategy, with its settings."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from expunge.specs.base import Spec
from expunge.specs.recipe import FastRecipe, Recipe, RepairSpec

Noise = Literal["additive", "variance_preserving", "shrink", "reinit"]


class _Rung(Spec):
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
