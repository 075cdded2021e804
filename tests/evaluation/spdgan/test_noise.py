import numpy as np
import torch

from expunge.evaluation.spdgan.noise import sign_noise, signs


def test_the_noise_is_as_large_as_the_perturbation_of_each_row_and_leaves_categories_alone(tabular):
    generator = tabular.fitted.generator
    x = torch.from_numpy(tabular.tune.x)
    marked, noisy = generator(x) - x, sign_noise(generator, seed=1, split="forget")(x, 0) - x
    rms = [each.double().pow(2).mean(dim=1).sqrt() for each in (marked, noisy)]
    torch.testing.assert_close(rms[0], rms[1], rtol=1e-2, atol=0)
    fixed = generator.scale == 0
    assert not noisy[:, fixed].any()
    in_units = (noisy[:, ~fixed] / generator.scale[~fixed]).abs()
    spread = (in_units.max(dim=1).values - in_units.min(dim=1).values) / in_units.mean(dim=1)
    assert float(spread.max()) < 0.05


def test_a_rows_signs_do_not_depend_on_how_rows_are_batched():
    whole = signs(7, torch.Size([10, 3, 11, 9]), 0)
    parts = [signs(7, torch.Size([n, 3, 11, 9]), first) for first, n in ((0, 4), (4, 6))]
    assert torch.equal(whole, torch.cat(parts))
    assert set(whole.unique().tolist()) == {-1.0, 1.0}
    assert abs(float(whole.mean())) < 4 / np.sqrt(whole.numel())


def test_another_seed_or_split_has_other_signs(digits):
    x = torch.from_numpy(digits.forget.x)
    generator = digits.fitted.generator
    first = sign_noise(generator, seed=1, split="forget")(x, 0)
    assert torch.equal(first, sign_noise(generator, seed=1, split="forget")(x, 0))
    assert not torch.equal(first, sign_noise(generator, seed=2, split="forget")(x, 0))
    assert not torch.equal(first, sign_noise(generator, seed=1, split="held-out")(x, 0))
