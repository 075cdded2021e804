import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from expunge.evaluation.spdgan import CurvePoint, SpdGanSettings
from expunge.evaluation.spdgan.calibrate import calibrate, in_band, least_rows
from expunge.evaluation.spdgan.generator import build_generator
from tests.evaluation.spdgan.rows import People


class Threshold(nn.Module):
    """Says class 1 above 0: it errs on a row of class 1 once the row has moved below."""

    def forward(self, x):
        return torch.cat([torch.zeros_like(x), x], dim=1)


class Down(nn.Module):
    """A net whose tanh is −1: G(x) = x − ε·σ."""

    def forward(self, z):
        return torch.full_like(z, -20.0)


def ladder(n):
    """Rows of class 1 at heights spread evenly over 0 ... 1; σ is set to 1."""
    rows = People(
        ((np.arange(n) + 0.5) / n).astype(np.float32)[:, None], np.ones(n, int), np.arange(n)
    )
    generator = build_generator(rows, 2)
    generator.net = Down()
    generator.scale.fill_(1.0)
    generator.epsilon = 0.5
    return generator, rows


def test_bisection_finds_the_epsilon_that_costs_five_points():
    generator, rows = ladder(4_000)
    found = calibrate(generator, [Threshold()], rows, SpdGanSettings(), device="cpu")
    assert found.resolvable
    assert found.epsilon == pytest.approx(0.05, abs=0.004)
    last = found.curve[-1]
    assert in_band(last, SpdGanSettings())
    assert last.drop == pytest.approx(found.epsilon, abs=1e-3)
    assert last.se == pytest.approx(math.sqrt(last.drop * (1 - last.drop) / 4_000), rel=0.01)
    assert len(found.curve) <= SpdGanSettings().evaluations


def test_it_looks_above_the_first_epsilon_too():
    generator, rows = ladder(4_000)
    generator.epsilon = 0.01
    found = calibrate(generator, [Threshold()], rows, SpdGanSettings(), device="cpu")
    assert found.resolvable
    assert [point.epsilon for point in found.curve[:3]] == pytest.approx([0.01, 0.02, 0.04])


def test_too_few_rows_for_the_error_are_not_resolvable_with_the_reason():
    generator, rows = ladder(1_000)
    found = calibrate(generator, [Threshold()], rows, SpdGanSettings(), device="cpu")
    assert not found.resolvable
    assert "role V is too small: with 1000 rows" in found.not_resolvable
    assert found.epsilon == pytest.approx(0.05, abs=0.002)


def test_no_epsilon_far_enough_is_not_resolvable_with_the_reason():
    generator, rows = ladder(4_000)
    settings = SpdGanSettings(epsilon=0.01, epsilon_max=0.03)
    found = calibrate(generator, [Threshold()], rows, settings, device="cpu")
    assert found.not_resolvable.startswith("no ε up to 0.03 gets there")


def test_a_loss_that_jumps_over_the_band_is_not_resolvable_with_the_reason():
    generator, rows = ladder(4_000)
    rows.x[:] = np.where(rows.x < 0.3, 0.1, rows.x)
    found = calibrate(generator, [Threshold()], rows, SpdGanSettings(), device="cpu")
    assert found.not_resolvable.startswith("no ε gets into 4–6 points")


def test_people_with_many_rows_count_as_people():
    generator, rows = ladder(4_000)
    few = replace(rows, subject_codes=np.arange(4_000) // 200)
    found = calibrate(generator, [Threshold()], few, SpdGanSettings(), device="cpu")
    assert not found.resolvable
    assert found.curve[-1].se > 0.03


@pytest.mark.parametrize(("references", "rows"), [(1, 1900), (2, 900), (4, 400), (20, 2)])
def test_the_least_rows_are_those_of_the_smallest_variance_there_can_be(references, rows):
    assert least_rows(references, SpdGanSettings()) == rows


def test_the_band_holds_the_whole_interval():
    settings = SpdGanSettings()
    assert in_band(CurvePoint(1.0, 0.05, 0.0049), settings)
    assert not in_band(CurvePoint(1.0, 0.05, 0.0051), settings)
    assert not in_band(CurvePoint(1.0, 0.045, 0.003), settings)
