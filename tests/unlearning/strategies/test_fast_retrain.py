import copy

import pytest
import torch
from torch.nn.functional import cross_entropy

from expunge.specs import Recipe
from expunge.training import derived_seed, fit
from expunge.unlearning import STRATEGIES, ExactRetrain, FastRetrain, Repair, unlearn
from tests.unlearning.conftest import Case
from tests.unlearning.states import mean_loss, same

SHORT = Repair(3, lr=1e-2, batch_size=16)


def test_nothing_of_the_champion_is_left(case: Case, normalised_case: Case) -> None:
    for each in (case, normalised_case):
        other = copy.deepcopy(each.champion)
        with torch.no_grad():
            for tensor in (*other.parameters(), *other.buffers()):
                if tensor.is_floating_point() and tensor.numel() > 1:
                    tensor.mul_(-3).add_(1)
        outcomes = [
            unlearn(m, each.forget, each.retain, FastRetrain(SHORT), factory=each.factory)
            for m in (each.champion, other)
        ]
        assert same(outcomes[0].model, outcomes[1].model)


def test_it_is_a_fit_of_the_fresh_network_on_the_retain_split(case: Case) -> None:
    made = unlearn(
        case.champion, case.forget, case.retain, FastRetrain(SHORT), seed=3, factory=case.factory
    )
    fresh = case.factory.build(derived_seed(3, "fresh"))
    history = fit(fresh, case.retain, SHORT, cross_entropy, seed=3, device="cpu")
    assert same(made.model, fresh)
    assert made.edit.cost == history.samples == 3 * len(case.retain)
    assert made.edit.masked == made.edit.parameters


def test_it_counts_as_exact_and_learns_the_retain_split(case: Case) -> None:
    assert STRATEGIES["fast_retrain"].exact
    assert STRATEGIES["exact_retrain"].exact
    assert {name for name, each in STRATEGIES.items() if each.exact} == {
        "fast_retrain",
        "exact_retrain",
    }
    made = unlearn(
        case.champion, case.forget, case.retain, FastRetrain(SHORT), factory=case.factory
    )
    fresh = case.factory.build(derived_seed(0, "fresh"))
    assert mean_loss(made.model, case.retain) < 0.5 * mean_loss(fresh, case.retain)


@pytest.mark.parametrize("settings", [SHORT, Recipe(epochs=1)])
def test_by_the_same_recipe_it_is_the_exact_retrain(case: Case, settings: Repair | Recipe) -> None:
    fast, exact = (
        unlearn(case.champion, case.forget, case.retain, kind(settings), factory=case.factory)
        for kind in (FastRetrain, ExactRetrain)
    )
    assert same(fast.model, exact.model)
    assert (fast.edit.strategy, exact.edit.strategy) == ("fast_retrain", "exact_retrain")
