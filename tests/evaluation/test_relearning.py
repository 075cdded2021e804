import json
from copy import deepcopy

import numpy as np
import pytest
import torch

from expunge.evaluation.relearning import TUNING, relearn_ratio, retain_only
from tests.evaluation.tiny import People, crowd, trained

TUNED = TUNING.model_copy(update={"epochs": 40, "lr": 5e-3, "batch_size": 8})


@pytest.fixture(scope="module")
def case():
    """One class is forgotten: the retrain never names it, a tenth of it teaches the rest."""
    everyone = crowd(80, 5, 0)
    forget = everyone.select(np.flatnonzero(everyone.labels == 2))
    retain = everyone.select(np.flatnonzero(everyone.labels != 2))
    return forget, retain, trained(everyone, 1), trained(retain, 2), trained(retain, 3)


def weights(model):
    return torch.cat([each.detach().ravel() for each in model.parameters()])


def test_the_champion_is_there_before_it_starts_and_a_retrain_takes_a_retrains_time(case):
    forget, _, champion, retrain, second = case
    before = weights(champion).clone()
    knows = relearn_ratio(champion, champion, retrain, forget, tuning=TUNED)
    like = relearn_ratio(champion, second, retrain, forget, tuning=TUNED)
    assert knows.candidate == (0.0, 0.0, 0.0)
    assert knows.metric.value == 0.0
    assert min(knows.retrain) > 0
    assert like.bound is None
    assert like.metric.value == pytest.approx(1, abs=0.5)
    assert knows.start < knows.target < knows.champion
    assert torch.equal(weights(champion), before)


def test_the_retrain_against_itself_is_one_exactly(case):
    forget, _, champion, retrain, _ = case
    found = relearn_ratio(champion, retrain, retrain, forget, tuning=TUNED, measure="margin")
    assert (found.metric.value, found.metric.se) == (1.0, 0.0)
    assert len(set(found.retrain)) == 3  # seeds give other orders
    assert json.loads(json.dumps(found.to_json()))["metric"]["value"] == 1.0


def test_steps_between_two_passes_are_interpolated(case):
    forget, _, champion, retrain, _ = case
    found = relearn_ratio(champion, retrain, retrain, forget, tuning=TUNED, measure="margin")
    per_pass = -(-round(0.1 * len(forget)) // 8)
    assert any(steps % per_pass for steps in found.retrain)
    assert max(found.retrain) < found.cap == 40 * per_pass


def test_a_cap_that_cuts_one_of_the_two_says_which_way(case):
    forget, _, champion, retrain, second = case
    short = TUNED.model_copy(update={"epochs": 1, "lr": 1e-6})
    most = relearn_ratio(champion, champion, retrain, forget, tuning=short)
    assert most.bound == "at most"
    assert "at most 0.00 times" in most.words
    neither = relearn_ratio(champion, second, retrain, forget, tuning=short)
    assert "neither came back" in neither.metric.undefined
    far = deepcopy(retrain)
    with torch.no_grad():
        far[2].bias[2] -= 50
    least = relearn_ratio(champion, far, retrain, forget, tuning=TUNED)
    assert least.bound == "at least"
    assert least.candidate == (least.cap,) * 3


def test_few_rows_or_a_champion_that_knows_no_more_leave_it_undefined(case):
    forget, _, champion, retrain, _ = case
    few = relearn_ratio(champion, retrain, retrain, forget.select(range(19)), tuning=TUNED)
    assert few.metric.undefined == "19 forget rows, 20 needed"
    same = relearn_ratio(retrain, retrain, retrain, forget, tuning=TUNED)
    assert "no better" in same.metric.undefined
    assert "cannot be had" in same.words


def test_retain_rows_alone_do_not_bring_back_a_class_that_was_never_seen(case):
    forget, retain, _, retrain, second = case
    like = retain_only(second, retain, forget, steps=20, retrain=retrain, tuning=TUNED, seed=0)
    assert (like.value, like.reference) == (0.0, 0.0)
    assert like.reference_kind == "exact_retrain"
    same = retain_only(retrain, retain, forget, steps=20, retrain=retrain, tuning=TUNED, seed=0)
    assert (same.gap_se, same.n) == (0.0, len(forget))


def test_forgotten_rows_return_with_retain_rows_that_resemble_them():
    # A candidate that is undertrained everywhere gets its forget rows back without seeing them.
    retain, forget = crowd(100, 5, 0), crowd(40, 5, 1, first=100)
    fresh = trained(retain, 1, TUNED.model_copy(update={"epochs": 0.05, "lr": 1e-5}))
    found = retain_only(fresh, retain, forget, steps=100, tuning=TUNED, seed=0)
    assert found.low > 0.1


def test_empty_splits_are_said():
    model = trained(crowd(5, 5, 0), 1, TUNED.model_copy(update={"epochs": 1}))
    nothing = People(torch.zeros(0, 12), [], [])
    found = retain_only(model, crowd(5, 5, 0), nothing, steps=3, seed=0)
    assert found.undefined == "a split has no rows"
