import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import Subset, TensorDataset

from expunge.errors import TerminalError
from expunge.training import DivergedError, Epoch
from expunge.unlearning import GradientAscent, Repair, unlearn
from tests.unlearning.conftest import Case
from tests.unlearning.states import mean_loss, same

FEW = Repair(2, lr=1e-3, batch_size=10)


def test_the_forget_loss_rises(case: Case) -> None:
    before = mean_loss(case.champion, case.forget)
    seen: list[Epoch] = []
    made = unlearn(
        case.champion, case.forget, case.retain, GradientAscent(FEW), on_epoch=seen.append
    )
    assert mean_loss(made.model, case.forget) > before
    assert made.edit.history is not None
    assert made.edit.history.epochs == tuple(seen)
    assert [epoch.number for epoch in seen] == [1, 2]
    assert -seen[-1].loss > -seen[0].loss > 0  # what is minimised is minus the forget loss


def test_a_first_step_goes_up_the_gradient_by_the_learning_rate() -> None:
    """AdamW's first step is lr · sign(gradient), whatever the gradient's length."""
    model = nn.Linear(2, 2, bias=False)
    rows = TensorDataset(torch.tensor([[1.0, -2.0]]), torch.tensor([0]))
    strategy = GradientAscent(Repair(1, lr=0.1, warmup=0, schedule="constant"), clip=None)
    made = unlearn(model, rows, rows, strategy).model
    moved = made.get_parameter("weight") - model.weight
    up = torch.tensor([[-1.0, 1.0], [1.0, -1.0]])  # away from class 0 on x = (1, −2)
    torch.testing.assert_close(moved.detach(), 0.1 * up, rtol=1e-4, atol=1e-6)


def test_retained_rows_are_not_read(case: Case) -> None:
    noise = TensorDataset(torch.randn(120, 6), case.retain.tensors[1])
    outcomes = [
        unlearn(case.champion, case.forget, retain, GradientAscent(FEW))
        for retain in (case.retain, noise)
    ]
    assert same(outcomes[0].model, outcomes[1].model)
    assert outcomes[0].edit.cost == 2 * len(case.forget)
    assert outcomes[0].edit.masked == 0


def test_the_clip_bounds_what_one_row_does_to_the_moments(case: Case) -> None:
    """Beside one row a million times as large, the others' gradients still count."""
    x, y = (tensor.clone() for tensor in case.forget.tensors)
    x[0] *= 1e6
    rows = TensorDataset(x, y)
    one_by_one = Repair(1, lr=1e-3, batch_size=1)
    clipped, free = (
        unlearn(case.champion, rows, case.retain, GradientAscent(one_by_one, clip=clip)).model
        for clip in (1.0, None)
    )
    start = mean_loss(case.champion, case.forget)
    assert mean_loss(clipped, case.forget) > start
    assert mean_loss(clipped, case.forget) > mean_loss(free, case.forget)


def test_one_row_alone_is_a_batch_beside_batch_norm(normalised_case: Case) -> None:
    case = normalised_case
    one = Subset(case.forget, [0])
    before = copy.deepcopy(case.champion)
    made = unlearn(case.champion, one, case.retain, GradientAscent(FEW))
    assert same(before, case.champion)
    assert made.edit.cost == 2 * 1 + len(case.retain) / 3


def test_an_ascent_that_blows_up_is_an_error_and_leaves_the_champion(case: Case) -> None:
    before = copy.deepcopy(case.champion)
    wild = GradientAscent(Repair(40, lr=10.0, batch_size=1))
    with pytest.raises(DivergedError, match="unlearning diverged"):
        unlearn(
            case.champion,
            case.forget,
            case.retain,
            wild,
            loss=lambda z, y: cross_entropy(z, y).exp(),
        )
    assert same(before, case.champion)


@pytest.mark.parametrize("clip", [0.0, -1.0, float("nan")])
def test_a_clip_that_is_not_above_0_is_refused(clip: float) -> None:
    with pytest.raises(TerminalError, match="clip"):
        GradientAscent(FEW, clip=clip)
