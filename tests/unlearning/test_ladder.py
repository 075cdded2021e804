from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter

from expunge.specs import Recipe, RepairSpec, Rung, load_model_spec
from expunge.specs.rungs import FineTuneRung, RandomKRung, TopKRung
from expunge.unlearning import (
    SSD,
    STRATEGIES,
    BottomK,
    ExactRetrain,
    FastRetrain,
    FineTune,
    GlobalPerturbation,
    GradientAscent,
    NegGradPlus,
    RandomK,
    Repair,
    SalUn,
    Strategy,
    TopK,
    strategy_of,
)

SPEC = Path(__file__).parents[2] / "models" / "digits-cnn.yaml"


def test_rungs_become_strategies_with_their_repairs() -> None:
    recipe = Recipe(epochs=3)
    rung = TopKRung(
        strategy="top_k", fraction=0.1, noise="shrink", saliency="gradient", per_layer=True
    )
    assert strategy_of(rung, recipe) == (
        TopK(0.1, "shrink", saliency="gradient", per_layer=True),
        None,
    )
    repair = RepairSpec(epochs=0.5, lr=1e-3, batch_size=16)
    assert strategy_of(FineTuneRung(strategy="fine_tune", repair=repair), recipe) == (
        FineTune(),
        Repair(0.5, 1e-3, 16),
    )
    random = RandomKRung(strategy="random_k", fraction=0.8, scale=2, repair=repair)
    assert strategy_of(random, recipe)[0] == RandomK(0.8, scale=2)


def test_the_demos_ladder_ends_with_the_champions_recipe() -> None:
    spec = load_model_spec(SPEC)
    strategies = [strategy_of(rung, spec.recipe) for rung in spec.ladder]
    assert [strategy.name for strategy, _ in strategies] == ["top_k", "random_k", "exact_retrain"]
    assert strategies[-1] == (ExactRetrain(spec.recipe), None)


SHORT = {"epochs": 2, "lr": 0.01, "batch_size": 16}


@pytest.mark.parametrize(
    ("rung", "strategy", "repair"),
    [
        ({"fraction": 0.2, "per_layer": True}, BottomK(0.2, per_layer=True), None),
        ({"noise": "shrink", "repair": SHORT}, GlobalPerturbation("shrink"), Repair(2, 0.01, 16)),
        ({"recipe": SHORT, "clip": None}, GradientAscent(Repair(2, 0.01, 16), clip=None), None),
        ({"recipe": SHORT, "alpha": 0.9}, NegGradPlus(Repair(2, 0.01, 16), alpha=0.9), None),
        ({"alpha": 5, "dampening": 0.5, "sample": 99}, SSD(5, 0.5, sample=99), None),
        ({"recipe": SHORT, "fraction": 0.3}, SalUn(Repair(2, 0.01, 16), fraction=0.3), None),
        ({"recipe": SHORT}, FastRetrain(Repair(2, 0.01, 16)), None),
        ({"recipe": {"epochs": 2}}, FastRetrain(Repair(2, batch_size=32)), None),
    ],
)
def test_a_spec_selects_every_strategy_with_its_settings(
    rung: dict[str, Any], strategy: Strategy, repair: Repair | None
) -> None:
    read: Rung = TypeAdapter(Rung).validate_python({"strategy": strategy.name, **rung})
    assert strategy_of(read, Recipe(epochs=9)) == (strategy, repair)


def test_rungs_and_strategies_have_one_name_and_agree_on_what_is_exact() -> None:
    kinds = {kind.model_fields["strategy"].annotation: kind for kind in get_args(get_args(Rung)[0])}
    exact = {get_args(name)[0]: kind.exact for name, kind in kinds.items()}
    assert exact == {name: strategy.exact for name, strategy in STRATEGIES.items()}
