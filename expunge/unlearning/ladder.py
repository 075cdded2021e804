"""A rung of a model spec's ladder as a strategy and its repair."""

from __future__ import annotations

from typing import assert_never

from expunge.specs import (
    ExactRetrainRung,
    FineTuneRung,
    RandomKRung,
    Recipe,
    RepairSpec,
    Rung,
    TopKRung,
)
from expunge.unlearning.repair import Repair
from expunge.unlearning.strategies import ExactRetrain, FineTune, RandomK, Strategy, TopK


def strategy_of(rung: Rung, recipe: Recipe) -> tuple[Strategy, Repair | None]:
    """The rung's strategy and repair; an exact retrain without a recipe takes the champion's."""
    match rung:
        case TopKRung():
            strategy: Strategy = TopK(
                fraction=rung.fraction,
                noise=rung.noise,
                scale=rung.scale,
                saliency=rung.saliency,
                microbatch=rung.microbatch,
                per_layer=rung.per_layer,
            )
            return strategy, _repair(rung.repair)
        case RandomKRung():
            strategy = RandomK(fraction=rung.fraction, noise=rung.noise, scale=rung.scale)
            return strategy, _repair(rung.repair)
        case FineTuneRung():
            return FineTune(), _repair(rung.repair)
        case ExactRetrainRung():
            return ExactRetrain(rung.recipe or recipe), None
        case _:
            assert_never(rung)


def _repair(spec: RepairSpec | None) -> Repair | None:
    return Repair(**spec.model_dump()) if spec else None
