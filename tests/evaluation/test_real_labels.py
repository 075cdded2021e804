"""Where labels are real numbers: scores, rates, hard rows and the gate, each by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from expunge.evaluation import (
    Evaluation,
    EvaluationError,
    EvaluationInput,
    SplitScores,
    evaluate,
    judge,
)
from expunge.evaluation.comparison import literature_metrics
from expunge.evaluation.earlier import Kept, kept_auc, load_kept, save_kept
from expunge.evaluation.evaluate import hard_row_aucs
from expunge.evaluation.levels import LevelReference, level, retrained_level
from expunge.evaluation.membership import auc, comparable, hard_rows, strata
from expunge.evaluation.rates import forgetting_rate, generalisation, memory_retention
from expunge.evaluation.scores import scores_of_outputs
from expunge.evaluation.spdgan import no_degree
from expunge.line.answers import answers
from expunge.specs import GateSpec

RNG = np.random.default_rng(0)
LABELS = RNG.normal(50, 10, 400)
PEOPLE = np.repeat(np.arange(40), 10)


def answered(error, labels=LABELS, people=PEOPLE):
    """Scores of a model that is off by `error`."""
    return scores_of_outputs(np.asarray(labels) + error, np.asarray(labels), np.asarray(people))


def noisy(scale, seed=1, **changes):
    return answered(np.random.default_rng(seed).normal(0, scale, 400), **changes)


def test_the_margin_is_minus_the_absolute_error_whatever_the_shape_of_the_outputs():
    found = scores_of_outputs(np.array([[1.0], [4.0]]), np.array([2.0, 2.0]), np.zeros(2))
    assert found.task == "regression"
    assert found.margin.tolist() == [-1.0, -2.0]
    assert found.error.tolist() == found.loss.tolist() == [1.0, 2.0]
    for outputs in (np.zeros((2, 2)), np.zeros(3), np.zeros((2, 1, 1))):
        with pytest.raises(EvaluationError, match="one number for each input"):
            scores_of_outputs(outputs, np.array([2.0, 2.0]), np.zeros(2))
    with pytest.raises(EvaluationError, match="NaN"):
        scores_of_outputs(np.array([np.nan]), np.array([2.0]), np.zeros(1))


def test_rates_are_those_of_the_mean_absolute_error():
    champion, candidate, retrain = answered(2.0), answered(5.0), answered(6.0)
    rate = forgetting_rate(champion, candidate, retrained_level(retrain))
    assert rate.value == pytest.approx((5 - 2) / (6 - 2))
    estimate = forgetting_rate(champion, candidate, LevelReference("leave_subject_out", 8.0, 0.1))
    assert estimate.value == pytest.approx((5 - 2) / (8 - 2))
    nothing = np.abs(LABELS - np.median(LABELS)).mean()
    kept = memory_retention(champion, candidate)
    assert kept.value == pytest.approx((nothing - 5) / (nothing - 2))
    lost = generalisation(champion, candidate)
    assert (lost.name, lost.value) == ("relative_generalisation", pytest.approx(1 - 5 / 2))
    assert level("forget_error", candidate).value == pytest.approx(5.0)


def test_rates_without_a_denominator_are_undefined():
    nearly = forgetting_rate(answered(5.0), answered(5.1), retrained_level(answered(5.4)))
    assert "the denominator is 0.400, below 0.49" in nearly.undefined  # .05 deviations of 9.96
    guess = answered(np.median(LABELS) - LABELS)
    assert "the denominator" in memory_retention(guess, guess).undefined
    perfect = generalisation(answered(0.0), answered(1.0))
    assert perfect.undefined == "the champion makes no error on these rows"
    flat = np.full(400, 7.0)
    same = forgetting_rate(
        answered(1.0, flat), answered(1.0, flat), retrained_level(answered(1.0, flat))
    )
    assert same.undefined


@given(st.floats(1e-3, 1e3), st.floats(-100, 100))
def test_no_rate_and_no_ranking_depends_on_the_labels_unit(unit, shift):
    errors = [np.random.default_rng(seed).normal(0, 3 + seed, 400) for seed in range(3)]
    before, after, exact = (answered(error) for error in errors)
    others = [answered(error * unit, LABELS * unit + shift) for error in errors]
    for rate in (memory_retention, generalisation):
        assert rate(*others[:2]).value == pytest.approx(rate(before, after).value, rel=1e-6)
    mine = forgetting_rate(before, after, retrained_level(exact))
    theirs = forgetting_rate(*others[:2], retrained_level(others[2]))
    assert theirs.value == pytest.approx(mine.value, rel=1e-6, nan_ok=True)
    sides, scaled = (before, after), (others[0], others[1])
    assert auc(comparable(*scaled), scaled) == pytest.approx(auc(comparable(*sides), sides))


def test_the_interval_of_a_relative_change_covers_the_truth():
    inside = 0
    for seed in range(200):
        draw = np.random.default_rng(seed)
        person = draw.normal(0, 1, 40)[PEOPLE]
        before = np.abs(draw.normal(0, 3, 400) + person)
        after = before * draw.normal(1.1, 0.2, 400)
        found = generalisation(answered(before), answered(after))
        inside += found.low <= -0.1 <= found.high
    assert 0.9 < inside / 200 <= 0.99


def test_strata_are_fifths_of_the_held_out_labels_and_classes_are_their_own():
    mine, theirs = strata(np.array([-1e9, 1e9]), np.arange(100.0))
    assert mine.tolist() == [0, 4]
    assert np.bincount(theirs).tolist() == [20] * 5
    classes = np.array([3, 1]), np.array([1, 1])
    assert strata(*classes) is not None and strata(*classes)[0] is classes[0]


def test_hard_rows_are_those_that_references_miss_by_more_than_the_held_out_median():
    forget, held_out = np.array([-9.0, -2.0, -1.0]), np.array([-1.0, -2.0, -3.0, -4.0, -5.0])
    mine, theirs = hard_rows(forget, held_out, "regression")
    assert mine.tolist() == [True, False, False]
    assert theirs.tolist() == [False, False, False, True, True]
    assert not hard_rows(forget, np.zeros(0), "regression")[0].any()


def sides(candidate_scale):
    """A champion that remembers its rows; a candidate that errs on them by `candidate_scale`."""
    forget = noisy(1.0), noisy(candidate_scale, 2)
    held_out = noisy(8.0, 3), noisy(8.0, 4)
    margins = [-np.abs(np.random.default_rng(seed).normal(0, 9, 400)) for seed in (5, 6)]
    return EvaluationInput(
        forget=SplitScores(*forget, reference_margin=margins[0]),
        retain=SplitScores(noisy(1.0, 7), noisy(2.0, 8)),
        held_out=SplitScores(*held_out, reference_margin=margins[1]),
    )


def test_what_remembers_fails_what_forgot_passes_and_damage_fails():
    gate = GateSpec(held_out_error=0.15)
    knows = evaluate(sides(1.0), seed=0, resamples=200)
    assert judge(knows, gate, rung=1, rungs=1, exact=False).outcome == "fail"
    forgot = evaluate(sides(8.0), seed=0, resamples=200)
    assert judge(forgot, gate, rung=1, rungs=1, exact=False).outcome == "pass"
    given = sides(8.0)
    worse = replace(given.held_out, candidate=noisy(14.0, 4))
    damaged = evaluate(replace(given, held_out=worse), seed=0, resamples=200)
    verdict = judge(damaged, gate, rung=1, rungs=1, exact=True)
    (criterion,) = verdict.criteria
    assert (criterion.outcome, criterion.margin) == ("fail", 0.15)
    assert "where 15 % more is allowed, so it is damaged" in criterion.words


def test_what_is_kept_of_a_batch_ranks_as_its_scores_did(tmp_path):
    given = sides(1.0)
    forget, held_out = given.forget, given.held_out
    digests = np.zeros((400, 16), np.uint8)
    path = tmp_path / "kept.npz"
    save_kept(path, Kept.of(forget.candidate, forget.reference_margin, digests))
    found = kept_auc(load_kept(path), held_out.candidate, held_out.reference_margin)
    (measured, _) = hard_row_aucs(given, seed=0, resamples=10)
    assert found == pytest.approx(measured.value)


def test_what_compares_accuracies_says_that_there_are_none():
    given = sides(8.0)
    exact = [
        replace(split, retrain=split.candidate)
        for split in vars(given).values()
        if split != "subjects"
    ]
    found = literature_metrics(EvaluationInput(*exact), seed=0, resamples=10)
    assert {each.undefined for each in found} == {"it compares accuracies; labels are real numbers"}


def test_a_degree_is_not_measured_and_its_reason_is_told():
    found = no_degree(7).metrics
    assert {each.name for each in found} >= {"ud", "nud", "ud_control"}
    assert {each.n for each in found} == {7}
    assert all("SPD-GAN is not measured" in each.undefined for each in found)


def test_a_champion_is_set_beside_the_median_label():
    module = torch.nn.Linear(1, 1)
    torch.nn.init.zeros_(module.weight)
    torch.nn.init.constant_(module.bias, 50.0)
    rows = Rows(LABELS)
    constant = answers(module, rows, rows, device="cpu")
    assert (constant.title, constant.alike) == ("mean absolute error", True)
    assert not constant.better_than_guessing
    torch.nn.init.ones_(module.weight)
    torch.nn.init.zeros_(module.bias)
    exact = answers(module, rows, Rows(LABELS + 0.0, shift=3.0), device="cpu")
    assert exact.better_than_guessing and not exact.alike
    assert exact.metrics() == {
        "train_error": pytest.approx(0, abs=1e-5),
        "held_out_error": pytest.approx(3.0, abs=1e-5),
    }
    assert exact.words.endswith(" there, 3 held out")


class Rows:
    """Rows whose only feature is their label, off by `shift`."""

    def __init__(self, labels, shift=0.0):
        self.labels, self.subject_codes = labels, PEOPLE
        self.x = torch.from_numpy(labels + shift).float()[:, None]

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, row):
        return self.x[row], torch.tensor(self.labels[row])


def test_an_evaluation_says_its_task_and_one_of_before_had_classes():
    found = evaluate(sides(8.0), seed=0, resamples=50)
    assert Evaluation.from_json(found.to_json()).task == "regression"
    old = {name: value for name, value in found.to_json().items() if name != "task"}
    assert Evaluation.from_json(old).task == "classification"
    assert found.generalisation.name == "relative_generalisation"
    assert found.level("retain").name == "retain_error"
