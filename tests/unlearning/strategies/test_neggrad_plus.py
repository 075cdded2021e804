import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import Subset, TensorDataset

from expunge.errors import TerminalError
from expunge.unlearning import FineTune, GradientAscent, NegGradPlus, Repair, unlearn
from tests.unlearning.conftest import Case
from tests.unlearning.states import mean_loss, same

FEW = Repair(3, lr=2e-3, batch_size=20)


def test_with_alpha_1_it_is_fine_tuning(case: Case, normalised_case: Case) -> None:
    for each in (case, normalised_case):
        tuned = unlearn(each.champion, each.forget, each.retain, FineTune(), FEW, seed=2)
        strategy = NegGradPlus(FEW, alpha=1.0, clip=None)
        made = unlearn(each.champion, each.forget, each.retain, strategy, seed=2)
        assert same(tuned.model, made.model)
        assert tuned.edit.cost == made.edit.cost
        assert tuned.edit.history is not None
        assert made.edit.history is not None
        assert tuned.edit.history.steps == made.edit.history.steps


def test_with_alpha_0_it_is_gradient_ascent(case: Case) -> None:
    one, other = (
        unlearn(case.champion, case.forget, case.retain, strategy, seed=2)
        for strategy in (NegGradPlus(FEW, alpha=0.0), GradientAscent(FEW))
    )
    assert same(one.model, other.model)


def test_it_follows_the_weighted_difference_of_gradients() -> None:
    """One step from the sum worked out by autograd: lr · sign, AdamW's first."""
    draw = torch.Generator().manual_seed(0)
    model = nn.Linear(3, 3)
    retain, forget = (
        TensorDataset(torch.randn(8, 3, generator=draw), torch.arange(8) % 3) for _ in range(2)
    )
    strategy = NegGradPlus(Repair(1, 0.01, 8, warmup=0, schedule="constant"), alpha=0.6, clip=None)
    made = unlearn(model, forget, retain, strategy).model
    loss = 0.6 * cross_entropy(model(retain.tensors[0]), retain.tensors[1])
    loss = loss - 0.4 * cross_entropy(model(forget.tensors[0]), forget.tensors[1])
    for name, gradient in zip(
        ("weight", "bias"), torch.autograd.grad(loss, list(model.parameters())), strict=True
    ):
        moved = made.get_parameter(name) - model.get_parameter(name)
        torch.testing.assert_close(moved, -0.01 * gradient.sign(), rtol=1e-3, atol=1e-5)


def test_the_forget_loss_rises_more_the_smaller_alpha_is(case: Case) -> None:
    gaps = []
    for alpha in (1.0, 0.8, 0.5):
        made = unlearn(case.champion, case.forget, case.retain, NegGradPlus(FEW, alpha)).model
        gaps.append(mean_loss(made, case.forget) - mean_loss(made, case.retain))
    assert gaps == sorted(gaps)


def test_every_row_of_both_splits_that_is_read_is_paid_for(case: Case) -> None:
    """120 retain rows make 6 steps an epoch; each reads 15 of the 30 forgotten rows, 9 rounds."""
    edit = unlearn(case.champion, case.forget, case.retain, NegGradPlus(FEW)).edit
    assert edit.history is not None
    assert edit.history.steps == 18
    assert edit.cost == edit.history.samples == 3 * 120 + 9 * 30


def test_one_forgotten_row_goes_round(normalised_case: Case) -> None:
    case = normalised_case
    one = Subset(case.forget, [3])
    edit = unlearn(case.champion, one, case.retain, NegGradPlus(FEW)).edit
    assert edit.cost == 3 * 120 + 18 + 120 / 3


@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan")])
def test_an_alpha_outside_0_to_1_is_refused(alpha: float) -> None:
    with pytest.raises(TerminalError, match="alpha"):
        NegGradPlus(FEW, alpha=alpha)
