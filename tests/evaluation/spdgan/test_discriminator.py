import pytest
import torch
from torch.linalg import matrix_norm

from expunge.evaluation.spdgan.discriminator import Discriminator, hinge_loss
from expunge.evaluation.spdgan.generator import Architecture


@pytest.mark.parametrize("shape", [(1, 7, 5), (3, 4, 4), (9,)])
def test_each_weight_has_spectral_norm_one(shape):
    judge = Discriminator(Architecture(shape, 4))
    z = torch.randn(3, *shape)
    for _ in range(50):  # one power iteration each
        judge(z)
    norms = [
        float(matrix_norm(module.weight.detach().flatten(1), ord=2))
        for module in judge.modules()
        if hasattr(module, "parametrizations")
    ]
    assert norms == pytest.approx([1.0] * len(norms), abs=0.02)
    assert len(norms) >= 3
    assert judge(z).shape == (3,)


def test_a_plain_one_is_not_held_to_it():
    judge = Discriminator(Architecture((1, 7, 5), 4), normalised=False)
    assert not any(hasattr(module, "parametrizations") for module in judge.modules())


def test_the_hinge_of_a_hand_computed_case():
    score, sign = torch.tensor([2.0, 0.5, -3.0, 0.0]), torch.tensor([1.0, 1.0, -1.0, -1.0])
    assert float(hinge_loss(score, sign)) == pytest.approx((0 + 0.5 + 0 + 1) / 4)
