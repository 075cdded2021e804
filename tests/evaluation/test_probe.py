import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from torch import nn

from expunge.evaluation import EvaluationError, reference_margin
from expunge.evaluation.probe import (
    fit_probe,
    penultimate,
    probe_auc,
    probe_metrics,
    probe_scores,
)
from tests.evaluation.tiny import FACTORY, RECIPE, crowd, network, trained


def test_features_are_what_the_last_layer_reads():
    model, rows = FACTORY.build(0), crowd(5, 4, 0)
    with torch.no_grad():
        expected = model[1](model[0](rows.x)).double().numpy()
    assert np.array_equal(penultimate(model, rows, batch_size=7), expected)
    first = penultimate(model, rows, layer="0")
    assert np.array_equal(first, rows.x.double().numpy())
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_a_convolutional_head_is_averaged_over_space():
    class Head(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Conv2d(3, 2, 1)

        def forward(self, x):
            return self.head(x.view(-1, 3, 2, 2)).mean((2, 3))

    rows = crowd(4, 3, 0)
    expected = rows.x.view(-1, 3, 4).mean(2).double().numpy()
    np.testing.assert_allclose(penultimate(Head(), rows), expected, atol=1e-6)


def test_a_layer_that_does_not_run_is_an_error_and_leaves_no_hook():
    model = network()
    with pytest.raises(EvaluationError, match="ran no layer 'head'"):
        penultimate(model, crowd(2, 2, 0), layer="head")
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_the_fit_is_scikit_learns_ridge():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(80, 6)) * 3 + 1, rng.integers(0, 3, 80)
    z = (x - x.mean(0)) / x.std(0)
    expected = Ridge(alpha=0.01 * 80).fit(z, np.eye(3)[y]).predict(z)
    probe = fit_probe(x, y, 3, ridge=0.01)
    np.testing.assert_allclose(probe.outputs(x), 10 * expected, atol=1e-9)


def test_of_real_labels_it_is_scikit_learns_ridge_in_the_labels_units():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(80, 6)) * 3 + 1
    y = 500 + x @ rng.normal(size=6) * 40
    z = (x - x.mean(0)) / x.std(0)
    expected = Ridge(alpha=0.01 * 80).fit(z, y).predict(z)
    probe = fit_probe(x, y, None, ridge=0.01)
    np.testing.assert_allclose(probe.outputs(x)[:, 0], expected, atol=1e-8)


def test_dead_features_do_no_harm():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(50, 4)), rng.integers(0, 2, 50)
    dead = np.column_stack([x, np.zeros(50)])
    found = fit_probe(dead, y, 2).outputs(dead)
    np.testing.assert_allclose(found, fit_probe(x, y, 2).outputs(x), atol=1e-9)


def test_a_fresh_probe_finds_memory_in_features_that_a_retrain_does_not_have():
    retain, forget = crowd(60, 5, 0), crowd(40, 5, 1, first=60)
    held_out, others = crowd(120, 5, 2, first=100), crowd(60, 5, 3, first=220)
    champion, retrain = trained(retain.plus(forget), 1), trained(retain, 2)
    references = [trained(others, seed, RECIPE.model_copy(update={"epochs": 3})) for seed in (3, 4)]
    hard = reference_margin(references, forget), reference_margin(references, held_out)
    sides = [
        probe_scores(model, retain, forget, held_out, classes=3, seed=0)
        for model in (champion, retrain)
    ]
    found, own = (probe_auc(each, hard, retrain=sides[1], seed=0, resamples=200) for each in sides)
    assert found.name == "probe_hard_row_auc"
    assert found.value - found.reference > 3 * found.gap_se
    assert (own.value, own.gap_se) == (own.reference, 0.0)
    assert own.low < 0.5 < own.high


def test_champion_and_candidate_are_probed():
    retain, forget, held_out = crowd(20, 5, 0), crowd(20, 5, 1), crowd(40, 5, 2)
    models, rows = (network(), network()), (retain, forget, held_out)
    hard = np.zeros(len(forget)), np.zeros(len(held_out))
    given = {"classes": 3, "seed": 0, "resamples": 50}
    after, before = probe_metrics(models, rows, hard, **given)
    assert (after.name, before.name) == ("probe_hard_row_auc", "probe_hard_row_auc_before")
    assert after.value != before.value
    sides = probe_scores(models[1], *rows, classes=3, seed=0)
    assert after == probe_auc(sides, hard, seed=0, resamples=50)


def test_features_that_cannot_be_had_leave_the_probe_undefined():
    class Bare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.zeros(12, 3))
            self.activation = nn.ReLU()

        def forward(self, x):
            return self.activation(x @ self.w)

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(12, 3)

        def forward(self, x):
            return self.head(x) + self.head(x)

    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(12, 3)

        def forward(self, x):
            return self.head(input=x)

    class Wide(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(5000, 3)

        def forward(self, x):
            return self.head(x.repeat(1, 417)[:, :5000])

    rows, hard = [crowd(6, 5, seed) for seed in range(3)], (np.zeros(30), np.zeros(30))
    for kind, why in (
        (Bare, "ran no layer"),
        (Twice, "60 of them for 30 rows"),
        (Named, "not given one vector"),
        (Wide, "5000 numbers wide"),
    ):
        found = probe_metrics((kind(), kind()), rows, hard, classes=3, seed=0)
        assert all(why in str(metric.undefined) for metric in found), kind
