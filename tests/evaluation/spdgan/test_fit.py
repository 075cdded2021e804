from dataclasses import replace

import numpy as np
import pytest
import torch

from expunge.evaluation import EvaluationError
from expunge.evaluation.spdgan import SpdGanSettings, fit_spdgan
from expunge.evaluation.spdgan.calibrate import in_band
from tests.evaluation.spdgan.rows import QUICK, People, digit_network, trained, written


def fitted_bytes(fitted):
    return [tensor.numpy().tobytes() for tensor in fitted.generator.state_dict().values()]


def test_a_fit_on_digits_and_on_a_table_reaches_its_band(digits, tabular):
    for case in (digits, tabular):
        fitted = case.fitted
        assert fitted.resolvable
        assert fitted.generator.epsilon == fitted.epsilon > 0
        assert in_band(
            next(point for point in fitted.calibration.curve if point.epsilon == fitted.epsilon),
            fitted.settings,
        )
        assert (fitted.references, fitted.fit_rows) == (2, len(case.fit))


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(digits):
    settings = replace(QUICK, steps=4)
    fits = [
        fit_spdgan(
            digits.fit, digits.tune, digits.references, settings=settings, seed=seed, device="cpu"
        )
        for seed in (1, 1, 2)
    ]
    assert fitted_bytes(fits[0]) == fitted_bytes(fits[1]) != fitted_bytes(fits[2])
    assert fits[0].calibration == fits[1].calibration


def test_references_and_the_global_random_state_are_left_as_they_were(digits):
    before = [p.detach().clone() for model in digits.references for p in model.parameters()]
    state = torch.random.get_rng_state()
    digits.references[0].train()
    fit_spdgan(
        digits.fit,
        digits.tune,
        digits.references,
        settings=replace(QUICK, steps=3),
        seed=1,
        device="cpu",
    )
    after = [p for model in digits.references for p in model.parameters()]
    assert all(torch.equal(a, b) and b.grad is None for a, b in zip(before, after, strict=True))
    assert torch.equal(state, torch.random.get_rng_state())
    assert digits.references[0].training
    digits.references[0].eval()


def test_fitting_makes_the_perturbation_hurt_more_than_an_unfitted_one(digits):
    steps = []
    fit_spdgan(
        digits.fit,
        digits.tune,
        digits.references,
        settings=replace(QUICK, steps=40),
        seed=7,
        device="cpu",
        on_step=steps.append,
    )
    assert [step.number for step in steps] == list(range(1, 41))
    early, late = (np.mean([s.drop / s.epsilon for s in part]) for part in (steps[:8], steps[-8:]))
    assert late > early + 0.05


def test_a_role_v_that_cannot_be_enough_is_said_before_anything_is_fitted(digits):
    few, steps = digits.tune.take(slice(0, 300)), []
    fitted = fit_spdgan(
        digits.fit,
        few,
        digits.references,
        settings=SpdGanSettings(),
        seed=1,
        device="cpu",
        on_step=steps.append,
    )
    assert not fitted.resolvable
    assert "role V has 300 rows" in fitted.calibration.not_resolvable
    assert "at least 900" in fitted.calibration.not_resolvable
    assert (steps, fitted.epsilon, fitted.calibration.curve) == ([], 0.0, ())


def test_a_diverging_generator_is_not_resolvable_and_no_error(digits):
    fitted = fit_spdgan(
        digits.fit,
        digits.tune,
        digits.references,
        settings=replace(QUICK, steps=5, lr=1e30),
        seed=1,
        device="cpu",
    )
    assert not fitted.resolvable
    assert fitted.calibration.not_resolvable


def test_nothing_to_fit_on_or_with_is_refused(digits):
    empty = digits.fit.take(slice(0, 0))
    for rows, references in ((empty, digits.references), (digits.fit, [])):
        with pytest.raises(EvaluationError, match="cannot be fitted on"):
            fit_spdgan(rows, digits.tune, references, settings=QUICK, seed=0, device="cpu")


def test_settings_without_sense_are_refused():
    for change in ({"steps": 0}, {"low": 0.06, "high": 0.04}, {"epsilon": 3.0}, {"lr": 0.0}):
        with pytest.raises(EvaluationError, match="cannot be fitted with these settings"):
            SpdGanSettings(**change)


@pytest.mark.parametrize("shape", [(16, 16), (1, 15, 13), (256,)])
def test_images_without_channels_of_odd_sizes_and_vectors_are_fitted(shape):
    rows = written(0, 40) if len(shape) == 1 else written(0, 40, (1, *shape[-2:]))
    rows = People(rows.x.reshape(-1, *shape), rows.labels, rows.subject_codes)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(int(np.prod(shape)), 10))
    (reference,) = trained(lambda: network, rows, models=1, epochs=2, seed=0)
    settings = replace(QUICK, steps=3, evaluations=4)
    fitted = fit_spdgan(rows, rows, [reference], settings=settings, seed=0, device="cpu")
    x = torch.from_numpy(rows.x[:5])
    assert fitted.generator(x).shape == x.shape
    assert fitted.calibration.curve


@pytest.mark.slow
def test_over_ten_seeds_it_reaches_the_true_band_or_says_why_not():
    references = trained(digit_network, written(0, 60), models=3, epochs=10, seed=1)
    fit_rows, tune_rows = written(60, 90), written(90, 350)
    settings = SpdGanSettings(steps=60, width=8)
    reached = 0
    for seed in range(10):
        fitted = fit_spdgan(
            fit_rows, tune_rows, references, settings=settings, seed=seed, device="cpu"
        )
        at = [point for point in fitted.calibration.curve if point.epsilon == fitted.epsilon]
        assert in_band(at[0], settings) == fitted.resolvable
        reached += fitted.resolvable
    assert reached >= 9
