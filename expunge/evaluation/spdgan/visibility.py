"""How visible the perturbation is: its size, the structural similarity, and to a fresh eye.

The fresh eye is a discriminator that never met G, trained on half of the people of role F and
asked about the other half: .5 means that it cannot tell x from G(x), 1 that it always can. It is
not held to spectral norm 1, which only G's fit needs and which would make it short-sighted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import TensorDataset

from expunge.evaluation.metric import EvaluationError, Metric, undefined
from expunge.evaluation.scores import Codes, Floats
from expunge.evaluation.spdgan.discriminator import Discriminator, hinge_loss
from expunge.evaluation.spdgan.fitted import Fitted
from expunge.evaluation.spdgan.generator import Generator
from expunge.evaluation.spdgan.perturbed import check_shape
from expunge.evaluation.spdgan.ssim import ssim, window_of
from expunge.evaluation.uncertainty import Z95, dense_codes, subject_covariance, units
from expunge.specs import Recipe
from expunge.training import (
    DivergedError,
    RowReader,
    derived_seed,
    fit,
    keyed_order,
    pick_device,
    predict,
)
from expunge.training.seeds import random_state

STEPS = 300
_MOST_ROWS = 2_000
_LEAST_WINDOW = 3


@dataclass(frozen=True)
class Visibility:
    """Means over rows: ‖G(x) − x‖ / ‖x‖, SSIM of x and G(x), accuracy of a fresh discriminator.

    Norms of tabular rows are taken in standard deviations of each feature. SSIM is undefined for
    them. The accuracy counts as many unperturbed as perturbed rows, of other people than the
    discriminator learnt from.
    """

    relative_l2: Metric
    ssim: Metric
    discriminator_accuracy: Metric

    def to_json(self) -> dict[str, Any]:
        """The metrics by name."""
        parts = self.relative_l2, self.ssim, self.discriminator_accuracy
        return {each.name: each.to_json() for each in parts}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Visibility:
        """The value that `to_json` wrote. Raises EvaluationError for another record."""
        try:
            return cls(*(Metric.from_json(record[name]) for name in cls.__dataclass_fields__))
        except KeyError as error:
            raise EvaluationError(
                "A stored record does not have the fields of Visibility.",
                fix="evaluate the batch again with this release",
            ) from error


def visibility(
    fitted: Fitted, rows: Any, *, seed: int, device: str, steps: int = STEPS
) -> Visibility:
    """Measure on `rows` of role F, at most 2,000 of them, at the calibrated ε.

    The fresh discriminator learns for `steps` batches.

    Raises:
        EvaluationError: rows of another shape than G was fitted on.
    """
    names = tuple(Visibility.__dataclass_fields__)
    if len(rows) == 0:
        return Visibility(*(undefined(name, "no rows") for name in names))
    check_shape(fitted.generator, rows)
    generator = fitted.generator_on(device)
    at = torch.sort(keyed_order(len(rows), seed, "visibility rows")[:_MOST_ROWS]).values
    people = rows.subject_codes[at.numpy()]
    x, _ = RowReader(rows, pick_device(device)).read(at)
    with torch.no_grad():
        moved = generator(x)
    return Visibility(
        _relative_l2(generator, x, moved, people),
        _similarity(generator, x, moved, people),
        _fresh_eye(generator, x, moved, people, seed=seed, device=device, steps=steps),
    )


def _relative_l2(
    generator: Generator, x: torch.Tensor, moved: torch.Tensor, people: Codes
) -> Metric:
    change, size = (moved - x).double(), x.double()
    if generator.architecture.is_vector:
        used = generator.scale > 0
        change, size = change[:, used] / generator.scale[used], generator.standardised(x)[:, used]
    top, bottom = change.flatten(1).norm(dim=1), size.flatten(1).norm(dim=1)
    kept = bottom > 0
    share = (top[kept] / bottom[kept].double()).cpu().numpy()
    return _mean("relative_l2", share, people[kept.cpu().numpy()], most=math.inf)


def _similarity(
    generator: Generator, x: torch.Tensor, moved: torch.Tensor, people: Codes
) -> Metric:
    name, architecture = "ssim", generator.architecture
    if architecture.is_vector:
        return undefined(name, "tabular rows have no structure in space", len(x))
    height, width = architecture.shape[-2:]
    span = float(x.max() - x.min())
    if window_of(height, width) < _LEAST_WINDOW or span == 0:
        return undefined(name, f"images of {height}×{width} pixels or one value only", len(x))
    image = (-1, architecture.channels, height, width)
    found = ssim(x.view(image), moved.view(image), data_range=span)
    return _mean(name, found.cpu().numpy(), people, least=-1.0)


def _fresh_eye(
    generator: Generator,
    x: torch.Tensor,
    moved: torch.Tensor,
    people: Codes,
    *,
    seed: int,
    device: str,
    steps: int,
) -> Metric:
    name = "discriminator_accuracy"
    dense, m = dense_codes(people)
    if m < 2:
        return undefined(name, "rows of one person cannot be split by person", len(x))
    learnt = np.isin(dense, keyed_order(m, seed, "visibility halves")[: m // 2].numpy())
    eye = _eye(generator, seed)
    both = [generator.standardised(each) for each in (x, moved)]
    mask = torch.from_numpy(learnt).to(x.device)
    z = torch.cat([each[mask] for each in both])
    sign = torch.ones(len(z), device=z.device)
    sign[len(z) // 2 :] = -1
    own, batch = derived_seed(seed, "visibility fit"), min(128, len(z))
    recipe = Recipe(epochs=steps * batch / len(z), lr=3e-3, batch_size=batch)
    try:
        fit(eye, TensorDataset(z, sign), recipe, hinge_loss, seed=own, device=device)
    except DivergedError:
        return undefined(name, "the fresh discriminator diverged", len(x))
    asked = [TensorDataset(each[~mask], each[~mask]) for each in both]
    plain, marked = (predict(eye, each, device=device).numpy() for each in asked)
    right = ((plain > 0).astype(np.float64) + (marked <= 0)) / 2
    return _mean(name, right, people[~learnt])


def _eye(generator: Generator, seed: int) -> Discriminator:
    with random_state(seed, "visibility discriminator", torch.device("cpu")):
        return Discriminator(generator.architecture, normalised=False)


def _mean(
    name: str, values: Floats, people: Codes, least: float = 0.0, most: float = 1.0
) -> Metric:
    if len(values) == 0:
        return undefined(name, "no row has a size")
    value = float(values.mean())
    se = math.sqrt(float(subject_covariance(values[:, None], people)[0, 0]))
    low, high = max(least, value - Z95 * se), min(most, value + Z95 * se)
    return Metric(name, value, se, low, high, len(values), degrees=units(people)[1] - 1)
