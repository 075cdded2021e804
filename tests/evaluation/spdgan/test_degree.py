import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from expunge.evaluation import EvaluationError
from expunge.evaluation.spdgan import Calibration, Models, unlearning_degree
from expunge.evaluation.spdgan.degree import NAMES
from tests.evaluation.spdgan.rows import People, table


def measured(case, models, **changes):
    given = {"fitted": case.fitted, "forget": case.forget, "held_out": case.held_out} | changes
    return unlearning_degree(
        given["fitted"], models, given["forget"], given["held_out"], seed=3, device="cpu"
    )


@pytest.fixture(scope="module")
def degree(digits):
    return measured(digits, digits.models)


def test_the_champion_against_itself_has_degree_zero(digits):
    champion = digits.models.champion
    found = measured(digits, Models(champion, champion))
    for name in set(NAMES) - {"nud"}:
        metric = found.metric(name)
        assert (metric.value, metric.se, metric.low, metric.high) == (0, 0, 0, 0)


def test_the_degree_changes_sign_when_the_models_are_swapped(digits, degree):
    back = measured(digits, Models(digits.models.candidate, digits.models.champion))
    for name in set(NAMES) - {"nud"}:
        assert back.metric(name).value == -degree.metric(name).value
        assert back.metric(name).se == pytest.approx(degree.metric(name).se)


def test_the_retrain_has_normalised_degree_one_and_is_the_reference(digits, degree):
    models = digits.models
    found = measured(digits, Models(models.champion, models.retrain, models.retrain))
    ratio = found.metric("nud")
    assert (ratio.value, ratio.reference) == (1, 1)
    assert (ratio.low, ratio.high) == pytest.approx((1, 1))
    for name in set(NAMES) - {"nud"}:
        assert degree.metric(name).reference == pytest.approx(found.metric(name).value)
        assert degree.metric(name).reference_kind == "exact_retrain"
        assert found.metric(name).gap_se == pytest.approx(0, abs=1e-9)


def test_a_model_that_forgot_people_has_a_degree_above_its_control(degree):
    ud, control, calibrated = (
        degree.metric(name) for name in ("ud", "ud_control", "ud_calibrated")
    )
    assert ud.low > 0.1
    assert ud.value > control.high
    assert calibrated.value == pytest.approx(ud.value - control.value)
    assert ud.se <= calibrated.se <= ud.se + control.se
    assert (ud.n, control.n, ud.degrees, control.degrees) == (400, 800, 19, 39)


def test_the_degree_is_the_difference_of_the_accuracies_beside_it(degree):
    before, after, retrain = (
        degree.metric(f"perturbed_forget_accuracy{end}").value
        for end in ("_before", "", "_retrain")
    )
    assert degree.metric("ud").value == pytest.approx(before - after)
    assert degree.metric("ud").reference == pytest.approx(before - retrain)


def test_the_normalised_degree_is_the_ratio_with_fiellers_interval(degree):
    ratio, calibrated = degree.metric("nud"), degree.metric("ud_calibrated")
    assert ratio.value == pytest.approx(calibrated.value / calibrated.reference)
    assert ratio.low < ratio.value < ratio.high
    assert 0 < ratio.se < 0.5


def test_the_same_seed_gives_the_same_record(digits, degree):
    again = measured(digits, digits.models)
    assert json.dumps(again.to_json(), allow_nan=False) == json.dumps(degree.to_json())


def test_without_a_retrain_only_the_normalised_degree_is_undefined(digits):
    models = Models(digits.models.champion, digits.models.candidate)
    found = measured(digits, models)
    assert found.metric("nud").undefined == "no exact retrain to compare with"
    assert [m.name for m in found.metrics if m.undefined] == ["nud"]
    assert found.metric("ud").reference is None


def test_a_retrain_that_differs_too_little_leaves_the_ratio_undefined(digits):
    champion, candidate = digits.models.champion, digits.models.candidate
    ratio = measured(digits, Models(champion, candidate, champion)).metric("nud")
    assert ratio.undefined == "the denominator is 0.000, below 0.050"
    assert math.isnan(ratio.value)


def test_a_generator_that_is_not_resolvable_leaves_everything_undefined_with_its_reason(digits):
    unsolved = replace(digits.fitted, calibration=Calibration(0.2, (), "role V is too small"))
    found = measured(digits, digits.models, fitted=unsolved)
    assert [metric.name for metric in found.metrics] == list(NAMES)
    assert all("role V is too small" in metric.undefined for metric in found.metrics)
    assert all(math.isnan(metric.value) for metric in found.metrics)


def test_without_held_out_rows_of_the_class_there_is_no_control(digits):
    ones = digits.held_out.take(digits.held_out.labels == 1)
    twos = digits.forget.take(digits.forget.labels == 2)
    for held_out in (ones, digits.held_out.take(slice(0, 0))):
        found = measured(digits, digits.models, forget=twos, held_out=held_out)
        for name in ("ud_control", "ud_calibrated", "nud", "ud_sign_noise_calibrated"):
            assert "no held-out rows" in found.metric(name).undefined
        assert found.metric("ud").undefined is found.metric("ud_sign_noise").undefined is None


def test_without_forget_rows_nothing_is_defined(digits):
    found = measured(digits, digits.models, forget=digits.forget.take(slice(0, 0)))
    assert {metric.undefined for metric in found.metrics} == {"no rows"}


def test_rows_of_a_rare_class_are_left_out_and_counted(digits):
    held_out = digits.held_out.take(digits.held_out.labels != 3)
    found = measured(digits, digits.models, held_out=held_out)
    calibrated = found.metric("ud_calibrated")
    assert (calibrated.left_out, calibrated.n) == (40, 360)
    assert any("40 forget rows" in note for note in found.notes)


def test_rows_of_another_shape_are_refused(digits):
    with pytest.raises(EvaluationError, match="fitted on rows of the shape"):
        measured(digits, digits.models, forget=table())


class Lookup(nn.Module):
    """Right or wrong about a row as one of its columns says; column 2 tells the class."""

    def __init__(self, column):
        super().__init__()
        self.column = column

    def forward(self, x):
        says = x[:, self.column] * x[:, 2]
        return torch.stack([-says, says], dim=1)


def looked_up(before, after, classes):
    columns = np.array([before, after, classes], np.float32).T * 2 - 1
    x = np.pad(columns, ((0, 0), (0, 27)))
    return People(x, np.array(classes), np.arange(len(classes)))


def looked_up_degree(tabular, forget, held_out):
    """With an ε so small that no row changes sides."""
    generator = tabular.fitted.generator_on("cpu")
    generator.scale.fill_(1e-9)
    fitted = replace(tabular.fitted, generator=generator)
    models = Models(Lookup(0), Lookup(1), Lookup(1))
    return unlearning_degree(fitted, models, forget, held_out, seed=0, device="cpu")


def test_a_hand_computed_case_of_one_class(tabular):
    before, after = [1, 1, 1, 1, 0, 1, 1, 1, 1, 1], [1, 0, 0, 1, 1, 0, 0, 0, 1, 1]
    forget = looked_up(before, after, [1] * 10)
    held_out = looked_up([1] * 20, [0] * 5 + [1] * 15, [1] * 20)
    found = looked_up_degree(tabular, forget, held_out)
    assert found.metric("ud").value == pytest.approx(0.9 - 0.5)
    assert found.metric("ud_control").value == pytest.approx(1 - 0.75)
    assert found.metric("ud_calibrated").value == pytest.approx(0.4 - 0.25)
    lost = np.subtract(before, after)
    variance = lost.var(ddof=1) / 10 + 0.75 * 0.25 / 19
    assert found.metric("ud_calibrated").se == pytest.approx(math.sqrt(variance))
    assert f"below {3 * math.sqrt(variance):.3f}" in found.metric("nud").undefined


def test_held_out_rows_count_as_the_forget_sets_classes_do(tabular):
    forget = looked_up([1] * 8, [0] * 8, [1] * 6 + [0] * 2)
    held_out = looked_up([1] * 15, [0] * 5 + [1] * 10, [1] * 5 + [0] * 10)
    control = looked_up_degree(tabular, forget, held_out).metric("ud_control")
    assert control.value == pytest.approx(6 / 8 * 1 + 2 / 8 * 0)
