from pathlib import Path

from expunge.specs import FineTuneRung, RandomKRung, Recipe, RepairSpec, TopKRung, load_model_spec
from expunge.unlearning import ExactRetrain, FineTune, RandomK, Repair, TopK, strategy_of

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
