import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import TensorDataset

from expunge.training import keyed_order
from expunge.unlearning import SaliencyError, saliency
from expunge.unlearning.saliency import SaliencyKind
from tests.unlearning.conftest import Case


def gradients(case: Case, at: torch.Tensor) -> dict[str, torch.Tensor]:
    x, y = (tensor[at] for tensor in case.forget.tensors)
    case.champion.eval()
    weights = {n: p for n, p in case.champion.named_parameters() if p.requires_grad}
    found = torch.autograd.grad(cross_entropy(case.champion(x), y), list(weights.values()))
    return {name: g.double() for name, g in zip(weights, found, strict=True)}


def test_one_row_a_microbatch_gives_the_diagonal_empirical_fisher(case: Case) -> None:
    found = saliency(case.champion, case.forget, cross_entropy, microbatch=1)
    each = [gradients(case, torch.tensor([row])) for row in range(30)]
    for name, values in found.items():
        exact = torch.stack([g[name].square() for g in each]).mean(0).sqrt()
        torch.testing.assert_close(values.double(), exact, rtol=1e-5, atol=1e-9)
        assert values.dtype == torch.float32


@pytest.mark.parametrize("kind", ["fisher", "gradient", "weight_gradient"])
def test_microbatches_are_weighted_by_their_size(case: Case, kind: SaliencyKind) -> None:
    found = saliency(case.champion, case.forget, cross_entropy, kind=kind, microbatch=8, seed=3)
    parts = torch.split(keyed_order(30, 3, "saliency order"), 8)
    assert [len(part) for part in parts] == [8, 8, 8, 6]
    for name, values in found.items():
        exact = torch.zeros_like(values, dtype=torch.float64)
        for part in parts:
            g = gradients(case, part)[name]
            exact += (g.square() if kind == "fisher" else g.abs()) * len(part) / 30
        exact = exact.sqrt() if kind == "fisher" else exact
        if kind == "weight_gradient":
            exact *= case.champion.get_parameter(name).detach().abs()
        torch.testing.assert_close(values.double(), exact, rtol=1e-5, atol=1e-9)


def test_the_whole_gradient_is_that_of_the_mean_loss_of_all_rows(case: Case) -> None:
    for microbatch in (7, 30):
        found = saliency(
            case.champion, case.forget, cross_entropy, kind="whole_gradient", microbatch=microbatch
        )
        for name, exact in gradients(case, torch.arange(30)).items():
            torch.testing.assert_close(found[name].double(), exact.abs(), rtol=1e-4, atol=1e-7)


def test_batch_norm_and_dropout_are_in_evaluation_mode(normalised_case: Case) -> None:
    champion = normalised_case.champion.train()
    before = {name: value.clone() for name, value in champion.state_dict().items()}
    saliency(champion, normalised_case.forget, cross_entropy)
    assert champion.training
    assert all(torch.equal(value, before[n]) for n, value in champion.state_dict().items())


def test_a_parameter_that_the_loss_does_not_read_has_saliency_zero(case: Case) -> None:
    model = nn.Module()
    model.used, model.unused = nn.Linear(6, 3), nn.Linear(2, 2)
    model.forward = model.used.forward  # type: ignore[method-assign]
    found = saliency(model, case.forget, cross_entropy)
    assert found["unused.weight"].count_nonzero() == 0
    assert found["used.weight"].count_nonzero() > 0


def test_a_saliency_that_is_not_finite_names_its_parameter() -> None:
    rows = TensorDataset(torch.full((4, 2), math.inf), torch.zeros(4, dtype=torch.int64))
    model = nn.Sequential(nn.Linear(2, 3))
    with pytest.raises(SaliencyError, match=r"parameter '0\.weight' is NaN or infinite"):
        saliency(model, rows, cross_entropy)
