"""Training on a weighted sum of losses, in which the forgotten rows' loss may rise.

    minimise  Σ weight · loss(rows)        a weight below 0 is ascended

A forgotten row never enters a batch statistic: while such rows pass, BatchNorm is in evaluation
mode, so that running statistics are the retained rows' and one row alone is a batch. A term of
weight 0 is not read. One term of weight 1 without a clip trains as `expunge.training.fit` does,
to the same bytes.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from expunge.training import (
    DivergedError,
    Epoch,
    History,
    Loss,
    RowReader,
    Rows,
    TrainingSettings,
    keyed_order,
)
from expunge.training.adamw import AdamW
from expunge.training.device import reproducible_kernels
from expunge.training.modes import mode
from expunge.training.schedule import learning_rate_factor
from expunge.training.seeds import random_state
from expunge.unlearning.repair import normalisers


@dataclass(frozen=True)
class Term:
    """`weight` times the mean loss of a batch of `rows`; `forgotten` rows leave no statistics."""

    rows: Rows = field(repr=False)
    weight: float
    forgotten: bool


def contend(
    network: nn.Module,
    terms: Sequence[Term],
    settings: TrainingSettings,
    loss: Loss,
    *,
    clip: float | None,
    seed: int,
    device: torch.device,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> History:
    """Train `network` in place with AdamW on the sum of `terms`, moving it to `device`.

    A step reads one batch of each term. Epochs are passes over the first term's rows; the others'
    go round, in a new order each time. The gradient of the sum is scaled down to the norm `clip`
    where it is longer. An epoch's loss is the mean of the sum, `samples` counts every row read.

    Raises DivergedError on a NaN or infinite sum or weight.
    """
    network.to(device)
    with reproducible_kernels(), random_state(seed, "fit", device), mode(network, training=True):
        read = [term for term in terms if term.weight]
        run = _Run(network, read, settings, loss=loss, clip=clip, seed=seed, device=device)
        history = run.until_done(on_epoch)
    if not all(bool(torch.isfinite(weight).all()) for weight in network.parameters()):
        raise _diverged("A weight became NaN or infinite")
    return history


class _Run:
    def __init__(
        self,
        network: nn.Module,
        terms: Sequence[Term],
        settings: TrainingSettings,
        *,
        loss: Loss,
        clip: float | None,
        seed: int,
        device: torch.device,
    ) -> None:
        self.network, self.settings, self.loss, self.clip = network, settings, loss, clip
        self.weights = [weight for weight in network.parameters() if weight.requires_grad]
        betas = (0.9, settings.beta2)
        self.optimiser = AdamW(self.weights, settings.lr, betas, settings.weight_decay)
        self.normalisers = normalisers(network)
        size = settings.batch_size
        self.streams = [
            (term, RowReader(term.rows, device), _batches(len(term.rows), size, seed, number))
            for number, term in enumerate(terms)
        ]
        self.per_epoch = -(-len(terms[0].rows) // size)
        self.steps = max(1, round(settings.epochs * self.per_epoch))
        self.samples = 0

    def until_done(self, on_epoch: Callable[[Epoch], None] | None) -> History:
        begin, epochs = time.perf_counter(), list[Epoch]()
        starts = range(0, self.steps, self.per_epoch)
        for number, done in enumerate(starts, 1):
            started = time.perf_counter()
            steps = range(done, min(done + self.per_epoch, self.steps))
            mean = float(torch.stack([self._step(step) for step in steps]).mean())
            if not abs(mean) < float("inf"):
                raise _diverged(f"The sum of losses became {mean} in epoch {number}")
            seconds = time.perf_counter() - started
            epochs.append(Epoch(number, len(starts), mean, self.optimiser.lr, seconds))
            if on_epoch:
                on_epoch(epochs[-1])
        self.optimiser.zero_grad()
        return History(tuple(epochs), self.steps, self.samples, time.perf_counter() - begin)

    def _step(self, step: int) -> torch.Tensor:
        factor = learning_rate_factor(step, self.steps, self.settings)
        self.optimiser.lr = self.settings.lr * factor
        self.optimiser.zero_grad()
        parts = [self._backward(*stream) for stream in self.streams]
        if self.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.weights, self.clip)
        self.optimiser.step()
        return torch.stack(parts).sum()

    def _backward(
        self, term: Term, reader: RowReader, batches: Iterator[torch.Tensor]
    ) -> torch.Tensor:
        x, y = reader.read(next(batches))
        self.samples += len(x)
        with _closed(self.normalisers if term.forgotten else []):
            value = term.weight * self.loss(self.network(x), y)
        value.backward()  # type: ignore[no-untyped-call]
        return value.detach()


def _batches(rows: int, size: int, seed: int, term: int) -> Iterator[torch.Tensor]:
    """Batches for ever, each pass over the rows in an order of its own; the first as `fit`'s."""
    purpose = f"order of term {term}," if term else "order"
    for number in itertools.count(1):
        yield from keyed_order(rows, seed, f"{purpose} {number}").tensor_split(-(-rows // size))


@contextmanager
def _closed(layers: list[_NormBase]) -> Iterator[None]:
    """Layers in evaluation mode inside the block."""
    flags = [layer.training for layer in layers]
    for layer in layers:
        layer.eval()
    yield
    for layer, flag in zip(layers, flags, strict=True):
        layer.train(flag)


def _diverged(what: str) -> DivergedError:
    return DivergedError(
        f"{what}: unlearning diverged.",
        left="Nothing stored was changed; the network in training was discarded.",
        fix="lower `lr`, `epochs` or `clip` of this rung in the model's spec",
    )
