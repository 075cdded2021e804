import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expunge.evaluation import sample_rows
from expunge.evaluation.levels import LevelReference, estimated_level, level, retrained_level
from expunge.evaluation.rates import forgetting_rate, generalisation, memory_retention
from tests.evaluation.synthetic import scores


def right(*correct, labels=None, subjects=None):
    return scores(np.where(correct, 1.0, -1.0), labels=labels, subjects=subjects)


def mixed(share, n, seed=0):
    hit = np.random.default_rng(seed).random(n) < share
    return scores(np.where(hit, 1.0, -1.0), subjects=np.arange(n) // 4)


CORRECT = st.lists(st.booleans(), min_size=2, max_size=60)


def test_the_champion_has_forgotten_nothing_and_a_retrain_everything():
    champion, retrain = mixed(1.0, 400), mixed(0.8, 400)
    reference = retrained_level(retrain)
    itself = forgetting_rate(champion, champion, reference)
    like_retraining = forgetting_rate(champion, retrain, reference)
    assert (itself.value, itself.se, itself.low, itself.high) == (0, 0, 0, 0)
    assert like_retraining.value == 1
    assert (like_retraining.low, like_retraining.high) == pytest.approx((1, 1))
    assert like_retraining.reference == 1.0


def test_two_retrains_judge_each_other_about_one_with_an_honest_interval():
    champion = mixed(1.0, 400)
    inside = 0
    for seed in range(200):
        one, other = mixed(0.8, 400, 2 * seed), mixed(0.8, 400, 2 * seed + 1)
        rate = forgetting_rate(champion, one, retrained_level(other))
        inside += rate.low <= 1 <= rate.high
    assert inside / 200 == pytest.approx(0.95, abs=0.05)


def test_the_forgetting_rate_of_a_hand_computed_case():
    champion = scores(np.ones(10))
    candidate = right(*[True] * 7, *[False] * 3)
    rate = forgetting_rate(champion, candidate, LevelReference("zero", 0.0, 0.0))
    assert rate.value == pytest.approx(0.3)
    assert rate.reference_kind == "zero"


def test_the_forgetting_rate_is_undefined_where_its_denominator_is_small_or_uncertain():
    champion = mixed(1.0, 400)
    close = forgetting_rate(champion, champion, LevelReference("class_matched", 0.96, 0.0))
    vague = forgetting_rate(champion, champion, LevelReference("class_matched", 0.8, 0.07))
    assert "0.040, below 0.050" in (close.undefined or "")
    assert "below 0.210" in (vague.undefined or "")
    assert math.isnan(close.value)
    assert forgetting_rate(champion, champion, None).undefined == "no reference"


@given(CORRECT)
def test_generalisation_of_a_model_to_itself_is_zero_without_error(correct):
    champion = right(*correct)
    found = generalisation(champion, champion)
    assert (found.value, found.se, found.low, found.high) == (0, 0, 0, 0)


@given(CORRECT, st.randoms())
def test_generalisation_changes_sign_when_the_models_are_swapped(correct, random):
    other = right(*random.sample(correct, len(correct)))
    there, back = generalisation(right(*correct), other), generalisation(other, right(*correct))
    assert there.value == pytest.approx(-back.value)
    assert there.se == pytest.approx(back.se)


def test_generalisation_counts_discordant_pairs():
    champion = right(*[True] * 60, *[False] * 40)
    candidate = right(*[True] * 57, *[False] * 42, True)  # loses 3, wins 1
    found = generalisation(champion, candidate)
    assert found.value == pytest.approx(-0.02)
    by_hand = math.sqrt((4 - (3 - 1) ** 2 / 100) / 100**2)
    assert found.se == pytest.approx(by_hand, rel=0.01)


def test_retention_is_paired_on_the_same_rows():
    champion, candidate = right(*[True] * 90, *[False] * 10), right(*[True] * 81, *[False] * 19)
    found = memory_retention(champion, candidate)
    assert found.value == pytest.approx(0.9)
    assert found.low < 0.9 < found.high
    itself = memory_retention(champion, champion)
    assert (itself.value, itself.se) == pytest.approx((1, 0))


@given(CORRECT)
def test_an_accuracy_lies_in_its_interval_and_the_interval_in_zero_to_one(correct):
    found = level("forget_accuracy", right(*correct))
    assert found.value == pytest.approx(np.mean(correct))
    assert 0 <= found.low <= found.value + 1e-12
    assert found.value - 1e-12 <= found.high <= 1


def test_rows_of_the_same_people_widen_the_interval():
    hit = np.repeat(np.random.default_rng(0).random(30) < 0.7, 20)
    apart = level("a", scores(np.where(hit, 1.0, -1.0)))
    together = level("a", scores(np.where(hit, 1.0, -1.0), subjects=np.arange(600) // 20))
    assert together.value == apart.value
    assert together.se > 4 * apart.se
    assert together.high - together.low > 3 * (apart.high - apart.low)


def test_the_estimate_is_weighted_to_the_classes_of_the_forget_set():
    held_out = right(
        *[True] * 8, *[False] * 2, *[True] * 3, *[False] * 7, labels=[0] * 10 + [1] * 10
    )
    forget = scores(np.ones(8), labels=[0] * 6 + [1] * 2)
    found = estimated_level("class_matched", held_out, forget)
    assert found is not None
    assert found.value == pytest.approx(0.75 * 0.8 + 0.25 * 0.3)
    assert estimated_level("class_matched", held_out, scores([1.0], labels=[5])) is None


def test_the_estimate_predicts_people_never_seen_within_its_error():
    rng, inside = np.random.default_rng(3), 0
    for _ in range(200):
        skill = np.clip(rng.normal(0.8, 0.1, 73), 0, 1)
        hit = rng.random((73, 20)) < skill[:, None]
        margin = np.where(hit, 1.0, -1.0)
        held_out = scores(margin[:48].ravel(), subjects=np.arange(960) // 20)
        forget = scores(margin[48:].ravel(), subjects=np.arange(500) // 20)
        found = estimated_level("leave_subject_out", held_out, forget)
        inside += abs(found.value - hit[48:].mean()) <= 1.96 * found.se
    assert inside / 200 == pytest.approx(0.95, abs=0.05)


def test_retain_rows_are_two_thousand_or_all_and_the_same_for_a_seed():
    assert sample_rows(1500, seed=0).tolist() == list(range(1500))
    drawn = sample_rows(10_000, seed=7)
    assert len(np.unique(drawn)) == 2000
    assert np.array_equal(drawn, sample_rows(10_000, seed=7))
    assert not np.array_equal(drawn, sample_rows(10_000, seed=8))
