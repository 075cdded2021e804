"""A rung of a model spec's ladder as a strategy and its repair."""

from __future__ import annotations

from typing import assert_never

from expunge.specs import Recipe, RepairSpec
from expunge.specs.rungs import (
    BottomKRung,
    ExactRetrainRung,
    FastRetrainRung,
    FineTuneRung,
    GlobalPerturbationRung,
    GradientAscentRung,
    NegGradPlusRung,
    RandomKRung,
    Rung,
    SalUnRung,
    SSDRung,
    TopKRung,
)
from expunge.unlearning.repair import Repair
from expunge.unlearning.strategies import (
    SSD,
    BottomK,
    ExactRetrain,
    FastRetrain,
    FineTune,
    GlobalPerturbation,
    GradientAscent,
    NegGradPlus,
    RandomK,
    SalUn,
    Strategy,
    TopK,
)


def strategy_of(rung: Rung, recipe: Recipe) -> tuple[Strategy, Repair | None]:
    """The rung's strategy and repair; an exact retrain without a recipe takes the champion's."""
    match rung:
        case TopKRung() | BottomKRung() | RandomKRung() | GlobalPerturbationRung() | FineTuneRung():
            return _repaired(rung), _repair(rung.repair)
        case GradientAscentRung() | NegGradPlusRung() | SSDRung() | SalUnRung():
            return _self_contained(rung), None
        case FastRetrainRung():
            return FastRetrain(_training(rung.recipe)), None
        case ExactRetrainRung():
            return ExactRetrain(rung.recipe or recipe), None
        case _:
            assert_never(rung)


def _repaired(
    rung: TopKRung | BottomKRung | RandomKRung | GlobalPerturbationRung | FineTuneRung,
) -> Strategy:
    """Strategies that a repair follows, or may follow."""
    match rung:
        case TopKRung() | BottomKRung():
            return (TopK if isinstance(rung, TopKRung) else BottomK)(
                fraction=rung.fraction,
                noise=rung.noise,
                scale=rung.scale,
                saliency=rung.saliency,
                microbatch=rung.microbatch,
                per_layer=rung.per_layer,
            )
        case RandomKRung():
            return RandomK(fraction=rung.fraction, noise=rung.noise, scale=rung.scale)
        case GlobalPerturbationRung():
            return GlobalPerturbation(noise=rung.noise, scale=rung.scale)
        case FineTuneRung():
            return FineTune()


def _self_contained(
    rung: GradientAscentRung | NegGradPlusRung | SSDRung | SalUnRung,
) -> Strategy:
    """Strategies of the literature, whose own training is all the training there is."""
    match rung:
        case GradientAscentRung():
            return GradientAscent(_training(rung.recipe), clip=rung.clip)
        case NegGradPlusRung():
            return NegGradPlus(_training(rung.recipe), alpha=rung.alpha, clip=rung.clip)
        case SSDRung():
            return SSD(
                alpha=rung.alpha,
                dampening=rung.dampening,
                microbatch=rung.microbatch,
                sample=rung.sample,
            )
        case SalUnRung():
            recipe = _training(rung.recipe)
            return SalUn(recipe, fraction=rung.fraction, microbatch=rung.microbatch)


def _repair(spec: RepairSpec | None) -> Repair | None:
    return _training(spec) if spec else None


def _training(spec: RepairSpec) -> Repair:
    return Repair(**spec.model_dump())
