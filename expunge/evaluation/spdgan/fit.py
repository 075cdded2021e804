"""Fitting SPD-GAN on role F: G makes rows hard for the references and hard to tell from rows.

ε follows the references while G is fitted and is then calibrated on role V. No champion, no
candidate and no request enters ("RH"), so that one generator serves many batches.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from expunge.evaluation.metric import EvaluationError
from expunge.evaluation.spdgan.calibrate import calibrate, least_rows
from expunge.evaluation.spdgan.fitted import Calibration, Fitted
from expunge.evaluation.spdgan.game import Game, Step
from expunge.evaluation.spdgan.generator import Generator, build_generator
from expunge.evaluation.spdgan.perturbed import scores_under
from expunge.evaluation.spdgan.settings import SpdGanSettings
from expunge.training import RowReader, keyed_order, pick_device
from expunge.training.device import reproducible_kernels
from expunge.training.modes import mode
from expunge.training.seeds import random_state


def fit_spdgan(
    fit_rows: Any,
    tune_rows: Any,
    references: Sequence[nn.Module],
    *,
    settings: SpdGanSettings,
    seed: int,
    device: str,
    categorical: Collection[int] = (),
    on_step: Callable[[Step], None] | None = None,
) -> Fitted:
    """Fit a generator on role F `fit_rows`, and find its ε on role V `tune_rows`.

    `references` (role R) are read in evaluation mode and not changed. `categorical` columns of a
    vector stay as they are. On one machine the same arguments give the same bytes. A generator
    whose ε cannot be found comes back as not resolvable, with the reason; where role V cannot
    possibly be large enough, nothing is fitted.

    Raises:
        EvaluationError: no reference, no row of role F, or rows of a shape without a generator.
    """
    if not references or len(fit_rows) == 0:
        raise EvaluationError(
            f"SPD-GAN cannot be fitted on {len(fit_rows)} rows of role F with {len(references)} "
            "reference models.",
            fix="give roles R and F people in data/NAME.yaml, and train a reference",
        )
    at = pick_device(device)
    with reproducible_kernels(), random_state(seed, "spdgan", at), _reading(references, at):
        generator = build_generator(fit_rows, settings.width, categorical)
        needed = least_rows(len(references), settings)
        if len(tune_rows) < needed:
            found = Calibration(0.0, (), _too_few(len(tune_rows), needed, settings))
        else:
            _play(generator.to(at), fit_rows, references, settings, seed=seed, on_step=on_step)
            found = _calibrated(generator, references, tune_rows, settings, device=device)
    generator.cpu().eval().requires_grad_(False)
    generator.epsilon = found.epsilon
    sizes = len(references), len(fit_rows), len(tune_rows)
    return Fitted(generator, found, settings, seed, *sizes)


def _calibrated(
    generator: Generator,
    references: Sequence[nn.Module],
    tune_rows: Any,
    settings: SpdGanSettings,
    *,
    device: str,
) -> Calibration:
    if not all(bool(torch.isfinite(weight).all()) for weight in generator.parameters()):
        return Calibration(0.0, (), "the generator diverged: lower `lr`")
    return calibrate(generator, references, tune_rows, settings, device=device)


def _too_few(rows: int, needed: int, settings: SpdGanSettings) -> str:
    band = f"{100 * settings.low:g}–{100 * settings.high:g}"
    return (
        f"role V has {rows} rows: a loss within {band} points ± 2 SE needs at least {needed} "
        "with these references"
    )


@contextmanager
def _reading(models: Sequence[nn.Module], at: torch.device) -> Iterator[None]:
    with ExitStack() as stack:
        for model in models:
            stack.enter_context(mode(model.to(at), training=False))
        yield


def _play(
    generator: Generator,
    rows: Any,
    references: Sequence[nn.Module],
    settings: SpdGanSettings,
    *,
    seed: int,
    on_step: Callable[[Step], None] | None,
) -> None:
    at = generator.mean.device
    scored = scores_under(None, references, rows, device=str(at))
    right = np.stack([each.correct for each in scored])
    game, reader = Game(generator, references, settings), RowReader(rows, at)
    batches = _batches(len(reader), settings, seed)
    for number, batch in enumerate(batches, 1):
        step = game.step(number, *reader.read(batch), right[:, batch.numpy()])
        if on_step:
            on_step(step)
        if not math.isfinite(step.hinge):
            return


def _batches(rows: int, settings: SpdGanSettings, seed: int) -> Iterator[torch.Tensor]:
    """`steps` batches: one keyed order after another, cut into parts of nearly one size."""
    per_epoch, done, epoch = -(-rows // settings.batch_size), 0, 0
    while done < settings.steps:
        order = keyed_order(rows, seed, f"spdgan order {epoch}")
        for batch in order.tensor_split(per_epoch)[: settings.steps - done]:
            yield batch
            done += 1
        epoch += 1
