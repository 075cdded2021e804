import math
from dataclasses import replace

import numpy as np
import pytest

from expunge.evaluation import EvaluationError, ShadowScores, lira_scores, offline_lira, score
from expunge.evaluation.lira import pooled_sd
from expunge.evaluation.shadows import train_shadows
from tests.evaluation.synthetic import scores
from tests.evaluation.tiny import FACTORY, RECIPE, crowd, trained


def shadows(margin, seen=None):
    margin = np.asarray(margin, dtype=np.float64)
    seen = np.zeros(margin.shape, dtype=bool) if seen is None else np.asarray(seen, dtype=bool)
    return ShadowScores(margin, seen)


def test_the_score_is_the_standardised_distance_from_the_models_that_did_not_see_the_row():
    # By hand: row 0 was seen by the third model; μ = (1, 3), squares 2 + 8 + 0 over 1 + 2 + 2.
    forget = shadows([[0, 1], [2, 3], [90, 5]], [[0, 0], [0, 0], [1, 0]])
    held_out = shadows([[4], [4], [4]])
    assert forget.out_mean().tolist() == [1.0, 3.0]
    assert pooled_sd((forget, held_out)) == pytest.approx(math.sqrt((2 + 8) / 5))
    model = scores([3.0, 3.0]), scores([2.0])
    found = lira_scores(model, (forget, held_out))
    assert found[0].margin == pytest.approx([math.sqrt(2), 0.0])
    assert found[1].margin == pytest.approx([-math.sqrt(2)])


def test_rows_that_fewer_than_two_shadows_left_out_are_counted_out():
    n = 30
    margin = np.random.default_rng(0).normal(size=(4, n))
    seen = np.zeros((4, n), dtype=bool)
    seen[:3, :7] = True
    sides = scores(np.arange(n)), scores(np.arange(n))
    auc = offline_lira(sides, (shadows(margin, seen), shadows(margin)), seed=0, resamples=50)[0]
    assert (auc.n, auc.left_out) == (n - 7, 7)


def test_difficulty_of_rows_that_hides_membership_is_taken_out():
    rng = np.random.default_rng(1)
    difficulty = rng.normal(0, 5, 1200)
    outs = difficulty + rng.normal(size=(16, 1200))
    margin = difficulty + rng.normal(size=1200) + np.r_[np.full(200, 1.5), np.zeros(1000)]
    model = scores(margin[:200]), scores(margin[200:], subjects=np.arange(200, 1200))
    sides = shadows(outs[:, :200]), shadows(outs[:, 200:])
    found = {metric.name: metric for metric in offline_lira(model, sides, seed=0, resamples=200)}
    plain = (model[0].margin[:, None] > model[1].margin).mean()
    assert plain < 0.62
    # Two normals 1.5 apart, each of variance 1 + 1/16 with the mean's own error.
    assert found["lira_auc"].value == pytest.approx(0.848, abs=0.03)
    assert found["lira_auc_lower"].value == 1 - found["lira_auc"].value
    assert found["lira_tpr_at_1pct_fpr"].value > 0.1
    assert found["lira_tpr_at_1pct_fpr_lower"].value < 0.02
    assert found["lira_auc_retrain_gap"].undefined == "no exact retrain"


def test_the_two_sided_auc_sees_rows_that_are_known_and_rows_that_are_shunned():
    rng = np.random.default_rng(2)
    outs = rng.normal(size=(8, 800))
    margin = rng.normal(size=800)
    margin[:200] += np.where(np.arange(200) % 2, 3.0, -3.0)
    model = scores(margin[:200]), scores(margin[200:], subjects=np.arange(200, 800))
    found = offline_lira(model, (shadows(outs[:, :200]), shadows(outs[:, 200:])), seed=0)
    assert found[0].value == pytest.approx(0.5, abs=0.07)
    assert found[2].value > 0.85


def test_the_rate_at_one_percent_needs_a_thousand_held_out_rows():
    rng = np.random.default_rng(3)
    model = scores(rng.normal(size=50)), scores(rng.normal(size=999))
    sides = shadows(rng.normal(size=(4, 50))), shadows(rng.normal(size=(4, 999)))
    rates = offline_lira(model, sides, seed=0, resamples=20)[-2:]
    assert {rate.undefined for rate in rates} == {"999 held-out rows, 1000 needed"}
    assert all(math.isnan(rate.value) for rate in rates)


def test_a_retrain_against_itself_has_no_gap_and_the_gap_has_its_sign():
    rng = np.random.default_rng(4)
    retrain = scores(rng.normal(size=300)), scores(rng.normal(size=300))
    knows = replace(retrain[0], margin=retrain[0].margin + 1), retrain[1]
    sides = shadows(rng.normal(size=(4, 300))), shadows(rng.normal(size=(4, 300)))

    def gap(model):
        return offline_lira(model, sides, retrain=retrain, seed=0, resamples=200)[3]

    same, other = gap(retrain), gap(knows)
    assert (same.value, same.se, same.reference_kind) == (0.0, 0.0, "exact_retrain")
    assert other.low > 0.1
    assert other.low < other.value < other.high


def test_shadows_of_other_rows_or_without_spread_are_refused():
    model = scores([1.0, 2.0]), scores([1.0])
    with pytest.raises(EvaluationError, match="other rows"):
        lira_scores(model, (shadows(np.zeros((4, 3))), shadows(np.zeros((4, 1)))))
    with pytest.raises(EvaluationError, match="same margin"):
        lira_scores(model, (shadows(np.zeros((4, 2))), shadows(np.zeros((4, 1)))))
    with pytest.raises(EvaluationError, match="the shape"):
        ShadowScores(np.zeros((4, 2)), np.zeros((4, 3), dtype=bool))


def test_real_shadows_tell_an_overfit_champion_from_a_retrain():
    forget, retain, held_out = crowd(30, 5, 0), crowd(40, 5, 1, first=30), crowd(60, 5, 2, first=70)
    champion, retrain = trained(forget.plus(retain), 1), trained(retain, 2)
    pool = forget.plus(retain).plus(held_out)
    made = train_shadows(FACTORY, pool, RECIPE, models=4, seed=0, device="cpu")
    sides = made.scores(forget), made.scores(held_out)

    def auc(model):
        both = score(model, forget, device="cpu"), score(model, held_out, device="cpu")
        return offline_lira(both, sides, seed=0, resamples=200)[0]

    assert auc(champion).low > 0.6
    assert auc(retrain).low < 0.5 < auc(retrain).high
