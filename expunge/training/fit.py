"""The one training loop: champions, references, exact retrains and repairs all go through it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from expunge.errors import TerminalError
from expunge.training.adamw import AdamW
from expunge.training.device import pick_device, reproducible_kernels
from expunge.training.losses import Loss
from expunge.training.modes import mode
from expunge.training.rows import RowError, RowReader, Rows
from expunge.training.schedule import TrainingSettings, learning_rate_factor
from expunge.training.seeds import keyed_order, random_state


class DivergedError(TerminalError):
    """The loss, or a weight, became NaN or infinite."""


@dataclass(frozen=True)
class Epoch:
    """What one pass over the rows (the last may be a part of one) came to."""

    number: int
    of: int
    loss: float
    lr: float
    seconds: float


@dataclass(frozen=True)
class History:
    """One run of `fit`: `samples` gradient-sample passes in `steps` steps."""

    epochs: tuple[Epoch, ...]
    steps: int
    samples: int
    seconds: float


def fit(
    model: nn.Module,
    rows: Rows,
    recipe: TrainingSettings,
    loss: Loss,
    *,
    seed: int,
    device: str | torch.device,
    on_epoch: Callable[[Epoch], None] | None = None,
    stop: Callable[[Epoch], bool] | None = None,
) -> History:
    """Train `model` in place with AdamW, moving it to `device`.

    `loss(outputs, y)` is a mean over the batch. Each epoch is cut into ⌈n/B⌉ batches whose sizes
    differ by one at most, so no tiny last batch upsets a BatchNorm. `stop` ends the run early.
    The only host synchronisation is one check of the loss at the end of each epoch.

    Raises DivergedError on a NaN or infinite loss or weight, RowError where there are no rows.
    """
    if len(rows) == 0:
        raise RowError("There are no rows to train on.", fix="give a split that is not empty")
    at = pick_device(device)
    model.to(at)
    with reproducible_kernels(), random_state(seed, "fit", at), mode(model, training=True):
        run = _Run(model, RowReader(rows, at), recipe, loss=loss, seed=seed, device=at)
        history = run.until_done(on_epoch, stop)
    _check_weights(model)
    return history


class _Run:
    def __init__(
        self,
        model: nn.Module,
        reader: RowReader,
        recipe: TrainingSettings,
        *,
        loss: Loss,
        seed: int,
        device: torch.device,
    ) -> None:
        self.model, self.reader, self.recipe = model, reader, recipe
        self.loss, self.seed, self.device = loss, seed, device
        self.per_epoch = -(-len(reader) // recipe.batch_size)
        self.steps = max(1, round(recipe.epochs * self.per_epoch))
        trained = [weight for weight in model.parameters() if weight.requires_grad]
        if not trained:
            raise TerminalError(
                "The network has no trainable parameter.",
                fix="leave `requires_grad` on for what is to be trained",
            )
        betas = (0.9, recipe.beta2)
        self.optimiser = AdamW(trained, recipe.lr, betas, recipe.weight_decay)

    def until_done(
        self, on_epoch: Callable[[Epoch], None] | None, stop: Callable[[Epoch], bool] | None
    ) -> History:
        begin, done, samples = time.perf_counter(), 0, 0
        epochs: list[Epoch] = []
        count = -(-self.steps // self.per_epoch)
        for number in range(1, count + 1):
            started = time.perf_counter()
            steps = min(self.per_epoch, self.steps - done)
            mean, seen = self._epoch(number, done, steps)
            done, samples = done + steps, samples + seen
            lr = self.optimiser.lr
            epoch = Epoch(number, count, mean, lr, time.perf_counter() - started)
            epochs.append(epoch)
            if on_epoch:
                on_epoch(epoch)
            if stop and stop(epoch):
                break
        self.optimiser.zero_grad()
        return History(tuple(epochs), done, samples, time.perf_counter() - begin)

    def _epoch(self, number: int, done: int, steps: int) -> tuple[float, int]:
        order = keyed_order(len(self.reader), self.seed, f"order {number}")
        total, seen = torch.zeros((), device=self.device), 0
        for step, at in enumerate(order.tensor_split(self.per_epoch)[:steps], done):
            factor = learning_rate_factor(step, self.steps, self.recipe)
            self.optimiser.lr = self.recipe.lr * factor
            x, y = self.reader.read(at)
            self.optimiser.zero_grad()
            value = self.loss(self.model(x), y)
            value.backward()  # type: ignore[no-untyped-call]
            self.optimiser.step()
            total += value.detach() * len(at)
            seen += len(at)
        mean = float(total) / seen
        if not torch.isfinite(total):
            raise _diverged(f"The loss became {mean} in epoch {number}")
        return mean, seen


def _check_weights(model: nn.Module) -> None:
    sound = [torch.isfinite(weight).all() for weight in model.parameters()]
    if sound and not bool(torch.stack(sound).all()):
        raise _diverged("A weight became NaN or infinite")


def _diverged(what: str) -> DivergedError:
    return DivergedError(
        f"{what}: training diverged.",
        left="Nothing stored was changed; the network in training was discarded.",
        fix="lower `lr`, or lengthen `warmup`, in the model's spec",
    )
