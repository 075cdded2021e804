import numpy as np
import pytest
import torch
from torch import nn

from expunge.evaluation import (
    REFERENCE_RULES,
    EvaluationError,
    reference_kind,
    reference_margin,
    score,
    train_references,
)
from expunge.specs import Recipe
from expunge.training import seeded


@pytest.mark.parametrize(
    ("statistic", "request_kind", "people", "rows", "expected"),
    [
        ("accuracy", "rows", 1, 100, "class_matched"),
        ("accuracy", "rows", 1, 99, None),
        ("membership", "rows", 1, 50, "half"),
        ("membership", "rows", 1, 49, None),
        ("accuracy", "subjects", 20, 20, "leave_subject_out"),
        ("accuracy", "subjects", 19, 9_999, None),
        ("membership", "subjects", 20, 20, "leave_subject_out"),
        ("membership", "subjects", 19, 9_999, None),
        ("accuracy", "class", 0, 0, "zero"),
        ("membership", "class", 5, 50, "half"),
        ("membership", "class", 5, 49, None),
    ],
)
def test_the_valid_reference_by_request_and_sample(statistic, request_kind, people, rows, expected):
    sample = {"held_out_subjects": people, "held_out_rows": rows}
    found = reference_kind(statistic, request_kind, has_retrain=False, **sample)
    assert found == expected
    retrained = reference_kind(statistic, request_kind, has_retrain=True, **sample)
    assert retrained == "exact_retrain"


def test_the_table_has_one_rule_for_each_request_and_statistic():
    pairs = [(rule.request, rule.statistic) for rule in REFERENCE_RULES]
    assert len(pairs) == len(set(pairs)) == 6


class Rows(torch.utils.data.Dataset):
    def __init__(self, n: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.y = torch.arange(n) % 3
        self.x = torch.randn(n, 6, generator=generator) + 2 * nn.functional.one_hot(self.y, 6)
        self.labels, self.subject_codes = self.y.numpy(), np.arange(n) // 5

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.x[row], self.y[row]


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))


RECIPE = Recipe(epochs=10, lr=1e-2, batch_size=20)


def trained(models: int = 2, epochs: float | None = None, seed: int = 1) -> list[nn.Module]:
    return train_references(
        seeded(network), Rows(120, 0), RECIPE, models=models, epochs=epochs, seed=seed, device="cpu"
    )


def test_reference_models_learn_differ_and_are_the_same_for_a_seed():
    models, fresh = trained(), Rows(200, 1)
    accuracies = [score(model, fresh, device="cpu").correct.mean() for model in models]
    assert min(accuracies) > 0.7
    weights = [model[0].weight for model in models]
    assert not torch.equal(weights[0], weights[1])
    assert torch.equal(weights[0], trained(models=1)[0][0].weight)
    assert not torch.equal(weights[0], trained(models=1, seed=2)[0][0].weight)


def test_epochs_replace_those_of_the_recipe():
    short, full = trained(models=1, epochs=1), trained(models=1)
    rows = Rows(120, 0)
    losses = [score(model[0], rows, device="cpu").loss.mean() for model in (short, full)]
    assert losses[0] > 2 * losses[1]


def test_the_reference_margin_is_the_mean_over_models():
    models, rows = trained(), Rows(50, 2)
    expected = np.mean([score(model, rows, device="cpu").margin for model in models], axis=0)
    np.testing.assert_allclose(reference_margin(models, rows), expected)


def test_no_reference_can_come_from_nothing():
    with pytest.raises(EvaluationError, match="on 0 rows of role R"):
        train_references(
            seeded(network), Rows(0, 0), RECIPE, models=2, epochs=1, seed=0, device="cpu"
        )
    with pytest.raises(EvaluationError, match="no reference model"):
        reference_margin([], Rows(5, 0))
