import math

import numpy as np
import pytest
import torch
from torch import nn

from expunge.training import seeded
from expunge.unlearning import FreshError
from expunge.unlearning.fresh import Fresh
from expunge.unlearning.laws import Law, Noise, TensorLaw
from expunge.unlearning.philox import Stream

NAME = "weight"
SIZE = 200_000


class Flat(nn.Module):
    """One long parameter, freshly normal with mean 1 and deviation 0.5."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(SIZE) * 0.5 + 1)


def applied(noise: Noise, scale: float, weights: torch.Tensor, seed: int = 0) -> np.ndarray:
    fresh = Fresh(Flat(), seeded(Flat), seed)
    rule = TensorLaw(Law(noise, scale), NAME, weights, fresh, Stream(seed, "noise"))
    return rule.apply(weights.double().numpy(), np.arange(SIZE))


def weights(mean: float = 1.0, deviation: float = 2.0) -> torch.Tensor:
    draw = torch.Generator().manual_seed(1)
    return torch.randn(SIZE, generator=draw) * deviation + mean


@pytest.mark.parametrize("scale", [0.3, 1.0, 4.0])
def test_additive_noise_adds_its_scale_in_deviations(scale: float) -> None:
    w = weights()
    difference = applied("additive", scale, w) - w.numpy()
    assert difference.std() == pytest.approx(scale * w.numpy().std(), rel=0.01)
    assert difference.mean() == pytest.approx(0, abs=0.02 * scale)


@pytest.mark.parametrize("scale", [0.1, 1.0, 6.0])
def test_variance_preserving_noise_keeps_mean_and_variance(scale: float) -> None:
    w = weights(mean=1.0)
    found = applied("variance_preserving", scale, w)
    assert found.std() == pytest.approx(w.numpy().std(), rel=0.01)
    assert found.mean() == pytest.approx(1.0, abs=0.03)
    correlation = np.corrcoef(found, w.numpy())[0, 1]
    assert correlation == pytest.approx(math.exp(-scale), abs=0.01)


def test_variance_preserving_noise_moves_the_mean_towards_the_fresh_one() -> None:
    w = weights(mean=5.0, deviation=0.5)
    found = applied("variance_preserving", 1.0, w)
    assert found.mean() == pytest.approx(1 + 4 * math.exp(-1), abs=0.02)


def test_shrink_is_the_weighted_sum_with_a_fresh_initialisation() -> None:
    w, a = weights(), math.exp(-0.8)
    fresh = Fresh(Flat(), seeded(Flat), 0).tensor(NAME).double().numpy()
    expected = a * w.double().numpy() + math.sqrt(1 - a * a) * fresh
    np.testing.assert_allclose(applied("shrink", 0.8, w), expected, rtol=1e-12)


def test_reinit_is_a_fresh_initialisation_and_depends_on_the_seed_alone() -> None:
    one, other = applied("reinit", 1.0, weights()), applied("reinit", 9.0, weights(mean=-7))
    assert np.array_equal(one, other)
    assert not np.array_equal(one, applied("reinit", 1.0, weights(), seed=1))
    assert one.std() == pytest.approx(0.5, rel=0.01)


def test_a_flat_tensor_takes_the_spread_of_a_fresh_initialisation() -> None:
    found = applied("additive", 2.0, torch.zeros(SIZE))
    assert found.std() == pytest.approx(2.0 * 0.5, rel=0.01)


def test_norm_layers_have_a_fresh_mean_of_one_and_no_spread() -> None:
    model = nn.Sequential(nn.BatchNorm1d(5))
    with torch.no_grad():
        model[0].weight.fill_(3.0)
    rule = TensorLaw(
        Law("variance_preserving", 1.0),
        "0.weight",
        model[0].weight,
        Fresh(model, None, 0),
        Stream(0, "noise"),
    )
    found = rule.apply(np.full(5, 3.0), np.arange(5))
    np.testing.assert_allclose(found, 1 + 2 * math.exp(-1))


def test_without_a_factory_modules_reset_themselves_and_buffers_with_them() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    model[1].running_mean.fill_(9.0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first, again = Fresh(model, None, 5), Fresh(model, None, 5)
    assert torch.equal(first.tensor("0.weight"), again.tensor("0.weight"))
    assert first.tensor("1.weight").tolist() == [1.0] * 4
    assert first.model.get_buffer("1.running_mean").tolist() == [0.0] * 4
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_attention_resets_all_of_its_parameters() -> None:
    fresh = Fresh(nn.TransformerEncoderLayer(8, 2, 16), None, 0)
    for name in ("self_attn.in_proj_weight", "self_attn.out_proj.bias", "norm1.weight"):
        assert torch.isfinite(fresh.tensor(name)).all()


def test_a_parameter_that_nothing_resets_is_an_error() -> None:
    with pytest.raises(FreshError, match="'weight' has no fresh initialisation"):
        Fresh(Flat(), None, 0).tensor("weight")


def test_a_factory_of_another_network_is_an_error() -> None:
    with pytest.raises(FreshError, match="does not have the champion's parameters"):
        Fresh(Flat(), seeded(lambda: nn.Linear(2, 2)), 0).tensor("weight")
