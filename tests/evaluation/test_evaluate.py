import json
import math
from dataclasses import replace

import numpy as np
import pytest

from expunge.evaluation import Evaluation, EvaluationError, SplitScores, WorstSubject, evaluate
from expunge.evaluation.metric import Metric
from tests.evaluation.synthetic import inputs, people, scores

NAMES = {
    "forget_accuracy",
    "forget_accuracy_before",
    "retain_accuracy",
    "retain_accuracy_before",
    "held_out_accuracy",
    "held_out_accuracy_before",
    "forgetting_rate",
    "memory_retention_rate",
    "generalisation",
    "auc",
    "auc_before",
    "hard_row_auc",
    "hard_row_auc_before",
}


def sides(seed=0, *, m=25, auc=0.5):
    rng = np.random.default_rng(seed)
    return people(rng, m, 7, auc=auc), people(rng, 48, 7)


def test_all_metrics_are_there_and_the_same_for_a_seed():
    forget, held_out = sides()
    found = evaluate(inputs(forget, held_out), seed=1, resamples=100)
    assert {metric.name for metric in found.metrics} == NAMES
    assert found == evaluate(inputs(forget, held_out), seed=1, resamples=100)
    other = evaluate(inputs(forget, held_out), seed=2, resamples=100)
    assert found.metric("auc").value == other.metric("auc").value
    assert found.metric("auc").se != other.metric("auc").se


def test_it_survives_json_with_nothing_undefined_lost():
    forget, held_out = sides(m=1)
    found = evaluate(inputs(forget, held_out, hard=False), seed=1, resamples=50)
    text = json.dumps(found.to_json(), allow_nan=False)
    back = Evaluation.from_json(json.loads(text))
    assert back.to_json() == found.to_json()
    assert math.isnan(back.metric("hard_row_auc").value)
    assert back.metric("hard_row_auc").undefined == found.metric("hard_row_auc").undefined
    assert isinstance(back.worst_subject, WorstSubject)


def test_a_record_of_another_shape_is_refused():
    with pytest.raises(EvaluationError, match="fields of Evaluation"):
        Evaluation.from_json({"metric": []})
    with pytest.raises(EvaluationError, match="fields of Metric"):
        Metric.from_json({"name": "auc", "colour": 1})
    with pytest.raises(EvaluationError, match="no metric 'ud'"):
        evaluate(inputs(*sides()), seed=1, resamples=10).metric("ud")


def test_references_are_those_of_whole_people():
    found = evaluate(inputs(*sides()), seed=1, resamples=50)
    for name in ("auc", "hard_row_auc", "forget_accuracy"):
        assert found.metric(name).reference_kind == "leave_subject_out"
    assert found.metric("auc").reference == 0.5


def test_too_few_held_out_people_leave_whole_people_without_a_reference():
    rng = np.random.default_rng(0)
    few = people(rng, 19, 20)
    found = evaluate(inputs(people(rng, 25, 7), few), seed=1, resamples=50)
    assert found.metric("hard_row_auc").reference is None
    assert found.metric("forgetting_rate").undefined == "no reference"
    random_rows = inputs(people(rng, 25, 7), few, request="rows")
    assert evaluate(random_rows, seed=1, resamples=50).metric("auc").reference_kind == "half"


def test_a_class_is_expected_never_to_be_named():
    forget, held_out = sides()
    found = evaluate(inputs(forget, held_out, request="class"), seed=1, resamples=50)
    assert found.metric("forget_accuracy").reference == 0.0
    assert found.metric("forget_accuracy").reference_kind == "zero"


def test_an_exact_retrain_is_the_reference_and_its_gap_is_paired():
    forget, held_out = sides(auc=0.7)
    retrain = {"retrain_forget": forget, "retrain_held_out": held_out}
    found = evaluate(inputs(forget, held_out, **retrain), seed=1, resamples=100)
    metric = found.metric("hard_row_auc")
    assert metric.reference_kind == "exact_retrain"
    assert metric.reference == metric.value
    assert metric.gap_se == 0
    assert metric.se > 0.02


def test_one_person_has_an_error_from_how_other_people_differ():
    rng = np.random.default_rng(4)
    gaps, errors = [], []
    for seed in range(80):
        data = inputs(people(rng, 1, 20, icc=0.3), people(rng, 48, 20, icc=0.3))
        metric = evaluate(data, seed=seed, resamples=50).metric("hard_row_auc")
        gaps.append(metric.value - 0.5)
        errors.append(metric.gap_se)
    assert np.mean(errors) == pytest.approx(np.std(gaps), rel=0.25)
    assert metric.degrees == 47


def test_champion_and_candidate_are_told_apart():
    champion, held_out = sides(auc=0.9)
    candidate = scores(champion.margin - 2, champion.labels, champion.subjects)
    data = inputs(candidate, held_out, champion_forget=champion)
    found = evaluate(data, seed=1, resamples=50)
    assert found.metric("auc_before").value > found.metric("auc").value + 0.3
    assert found.metric("forget_accuracy_before").value > found.metric("forget_accuracy").value


def test_rows_left_out_are_counted():
    rng = np.random.default_rng(0)
    forget = people(rng, 10, 10, labels=np.repeat([0, 1], 50))
    held_out = people(rng, 48, 5, labels=np.zeros(240, dtype=int))
    found = evaluate(inputs(forget, held_out), seed=1, resamples=50)
    assert (found.metric("auc").n, found.metric("auc").left_out) == (50, 50)


def test_scores_of_other_rows_are_refused():
    forget, held_out = sides()
    with pytest.raises(EvaluationError, match="not of the same rows"):
        SplitScores(forget, held_out)
    with pytest.raises(EvaluationError, match="not of the same rows"):
        SplitScores(forget, forget, reference_margin=np.zeros(3))
    with pytest.raises(EvaluationError, match="different lengths"):
        scores(np.zeros(3), labels=np.zeros(2))


def test_losing_the_class_that_is_forgotten_is_no_damage():
    forget, held_out = sides()
    lost = held_out.labels == held_out.labels[0]
    after = replace(held_out, error=np.maximum(held_out.error, lost))
    erased = forget.take(forget.labels == held_out.labels[0])
    changes = {"held_out": after, "champion_held_out": held_out}
    gone = evaluate(inputs(erased, request="class", **changes), seed=0, resamples=10)
    assert (gone.metric("generalisation").value, gone.metric("generalisation").n) == (
        0.0,
        int((~lost).sum()),
    )
    people = evaluate(inputs(erased, request="subjects", **changes), seed=0, resamples=10)
    assert people.metric("generalisation").value < 0
