"""Every strategy on a network whose label is a real number."""

import copy

import pytest
import torch
from torch import nn
from torch.utils.data import ConcatDataset, TensorDataset

from expunge.training import LOSSES, fit, seeded
from expunge.unlearning import STRATEGIES, Repair, unlearn

TRAINING = Repair(2, 5e-3, 16)
SETTINGS = {
    "top_k": {"fraction": 0.3},
    "bottom_k": {"fraction": 0.3},
    "random_k": {"fraction": 0.5},
    "global_perturbation": {},
    "fine_tune": {},
    "gradient_ascent": {"recipe": TRAINING},
    "neggrad_plus": {"recipe": TRAINING},
    "ssd": {"alpha": 1.5},
    "salun": {"recipe": TRAINING},
    "fast_retrain": {"recipe": TRAINING},
    "exact_retrain": {"recipe": TRAINING},
}
REPAIRED = ("top_k", "bottom_k", "random_k", "global_perturbation", "fine_tune")


class Value(nn.Module):
    """One number a row, about 100."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU())
        self.head = nn.Linear(16, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 100 + 30 * self.head(self.body(x)).squeeze(1)


def rows(count, seed):
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 4, generator=draw)
    return TensorDataset(x, 100 + 30 * x[:, 0].double() + x[:, 1].double() ** 2)


@pytest.fixture(scope="module")
def case():
    factory, forget, retain = seeded(Value), rows(24, 1), rows(96, 2)
    champion, both = factory.build(0), ConcatDataset([retain, forget])
    fit(champion, both, Repair(8, 1e-2, 16), LOSSES["squared_error"], seed=0, device="cpu")
    return champion, forget, retain, factory


def test_there_are_settings_for_every_strategy():
    assert set(SETTINGS) == set(STRATEGIES)


@pytest.mark.parametrize("name", STRATEGIES)
def test_it_changes_the_network_to_another_that_still_answers(case, name):
    champion, forget, retain, factory = case
    before = copy.deepcopy(champion.state_dict())
    outcome = unlearn(
        champion,
        forget,
        retain,
        STRATEGIES[name](**SETTINGS[name]),
        TRAINING if name in REPAIRED else None,
        loss=LOSSES["absolute_error" if name == "fine_tune" else "squared_error"],
        factory=factory,
    )
    assert all(torch.equal(before[key], value) for key, value in champion.state_dict().items())
    after = outcome.model.state_dict()
    assert any(not torch.equal(before[key], after[key]) for key in before)
    with torch.no_grad():
        answers = outcome.model.eval()(retain.tensors[0])
    assert answers.shape == (96,)
    assert bool(torch.isfinite(answers).all())
