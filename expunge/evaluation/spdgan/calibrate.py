"""ε by bisection: the references must lose 4–6 points on role V, with ± 2 SE inside the band."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import nn

from expunge.evaluation.scores import Floats
from expunge.evaluation.spdgan.fitted import Calibration, CurvePoint
from expunge.evaluation.spdgan.generator import Generator
from expunge.evaluation.spdgan.perturbed import by_generator, mean_hits
from expunge.evaluation.spdgan.settings import SpdGanSettings
from expunge.evaluation.uncertainty import subject_covariance

_LEAST_GAP = 1e-3


def least_rows(references: int, settings: SpdGanSettings) -> int:
    """Rows of role V below which no result can have ± 2 SE inside the band.

    The mean of M references moves in steps of 1/M on a row, so a mean drop of d has at least the
    variance d/M − d² (or 0 where M·d is whole); ± 2 SE must fit into half the band.
    """
    d, error = settings.target, (settings.high - settings.low) / 4
    share = d * references - math.floor(d * references)
    return max(2, math.ceil(share * (1 - share) / (references * error) ** 2 - 1e-9))


def calibrate(
    generator: Generator,
    references: Sequence[nn.Module],
    tune_rows: Any,
    settings: SpdGanSettings,
    *,
    device: str,
) -> Calibration:
    """Search ε from the generator's own on; the first that lies in the band for certain wins.

    Where none does, the ε nearest to the middle of the band, with the reason.
    """
    probe = _Probe(generator, references, tune_rows, device=device)
    _search(probe, settings)
    curve = tuple(probe.curve)
    inside = [point for point in curve if in_band(point, settings)]
    best = inside[0] if inside else min(curve, key=lambda it: abs(it.drop - settings.target))
    why = None if inside else _reason(best, curve, settings, rows=len(tune_rows))
    return Calibration(best.epsilon, curve, why)


def in_band(point: CurvePoint, settings: SpdGanSettings) -> bool:
    """Whether the drop ± 2 SE lies within the band."""
    return settings.low <= point.drop - 2 * point.se <= point.drop + 2 * point.se <= settings.high


class _Probe:
    """Measures the drop at one ε after another."""

    def __init__(
        self, generator: Generator, references: Sequence[nn.Module], rows: Any, *, device: str
    ) -> None:
        self.generator, self.references, self.rows = generator, references, rows
        self.device = device
        self.before: Floats = mean_hits(None, references, rows, device=device)
        self.curve: list[CurvePoint] = []

    def at(self, epsilon: float) -> CurvePoint:
        self.generator.epsilon = epsilon
        perturb = by_generator(self.generator)
        after = mean_hits(perturb, self.references, self.rows, device=self.device)
        lost = self.before - after
        se = math.sqrt(float(subject_covariance(lost[:, None], self.rows.subject_codes)[0, 0]))
        point = CurvePoint(epsilon, float(np.mean(lost)), se)
        self.curve.append(point)
        return point


def _search(probe: _Probe, settings: SpdGanSettings) -> None:
    low, high = 0.0, min(probe.generator.epsilon, settings.epsilon_max)
    point = probe.at(high)
    while point.drop < settings.target and high < settings.epsilon_max:
        low, high = high, min(2 * high, settings.epsilon_max)
        point = probe.at(high)
    if point.drop < settings.target:
        return
    while len(probe.curve) < settings.evaluations and high - low > _LEAST_GAP * high:
        if in_band(point, settings):
            return
        middle = (low + high) / 2
        point = probe.at(middle)
        low, high = (middle, high) if point.drop < settings.target else (low, middle)


def _reason(
    best: CurvePoint, curve: Sequence[CurvePoint], settings: SpdGanSettings, *, rows: int
) -> str:
    band = f"{100 * settings.low:g}–{100 * settings.high:g} points"
    lost = f"{100 * best.drop:.1f} points of accuracy at ε = {best.epsilon:.3g}"
    if max(point.drop for point in curve) < settings.low:
        return f"no ε up to {settings.epsilon_max:g} gets there: the references lose {lost} at most"
    if not settings.low <= best.drop <= settings.high:
        return f"no ε gets into {band}: the nearest is a loss of {lost}"
    return (
        f"role V is too small: with {rows} rows the references lose {lost}, "
        f"± {200 * best.se:.1f} (2 SE), and that has to lie within {band}"
    )
