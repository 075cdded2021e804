import pytest
import torch
from torch.nn.functional import cross_entropy

from expunge.errors import TerminalError
from expunge.unlearning import FineTune, Repair, SalUn, unlearn
from tests.unlearning.conftest import Case
from tests.unlearning.states import mean_loss, state

FEW = Repair(3, lr=1e-2, batch_size=30)


def gradient(case: Case) -> dict[str, torch.Tensor]:
    weights = {name: p for name, p in case.champion.named_parameters() if p.requires_grad}
    x, y = case.forget.tensors
    found = torch.autograd.grad(cross_entropy(case.champion.eval()(x), y), list(weights.values()))
    return {name: g.abs() for name, g in zip(weights, found, strict=True)}


def test_only_weights_above_the_median_gradient_change(case: Case) -> None:
    made = unlearn(case.champion, case.forget, case.retain, SalUn(FEW))
    found, before, after = gradient(case), state(case.champion), state(made.model)
    median = torch.cat([values.flatten() for values in found.values()]).median()
    for name, values in found.items():
        assert torch.equal(after[name][values < median], before[name][values < median])
    moved = {name: int((after[name] != before[name]).sum()) for name in found}
    assert {tensor.name: tensor.changed for tensor in made.edit.per_tensor} == moved
    assert made.edit.masked == round(made.edit.parameters / 2 + 0.1)
    assert 0.9 * made.edit.masked < made.edit.changed <= made.edit.masked


def test_unmasked_weights_keep_their_bits_beside_batch_norm_too(normalised_case: Case) -> None:
    case = normalised_case
    made = unlearn(case.champion, case.forget, case.retain, SalUn(FEW, fraction=0.1))
    before, after = state(case.champion), state(made.model)
    moved = sum(
        int((after[tensor.name] != before[tensor.name]).sum()) for tensor in made.edit.per_tensor
    )
    assert moved == made.edit.changed <= made.edit.masked
    assert made.edit.masked == round(0.1 * made.edit.parameters)


def test_forgotten_rows_are_unlearned_towards_other_labels(case: Case) -> None:
    """Beside the same training of every weight on the retain split alone."""
    long = Repair(20, 1e-2, 30)
    made = unlearn(case.champion, case.forget, case.retain, SalUn(long)).model
    tuned = unlearn(case.champion, case.forget, case.retain, FineTune(), long).model
    assert mean_loss(made, case.forget) > 2 * mean_loss(tuned, case.forget)


def test_saliency_and_both_splits_are_paid_for(case: Case) -> None:
    edit = unlearn(case.champion, case.forget, case.retain, SalUn(FEW)).edit
    assert edit.cost == 30 + 3 * (30 + 120)


def test_the_network_that_comes_back_trains_freely(case: Case) -> None:
    """Nothing of the mask stays in it."""
    made = unlearn(case.champion, case.forget, case.retain, SalUn(FEW, fraction=0.01)).model
    x, y = case.retain.tensors
    cross_entropy(made(x), y).backward()  # type: ignore[no-untyped-call]
    assert all(bool(p.grad.any()) for p in made.parameters() if p.grad is not None)


def test_decay_is_refused_since_it_would_move_unmasked_weights() -> None:
    with pytest.raises(TerminalError, match="weight_decay"):
        SalUn(Repair(1, weight_decay=0.1))
