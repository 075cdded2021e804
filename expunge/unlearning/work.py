"""One unlearning under way: the steps of the method, on a copy, each timed and paid for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import nn

from expunge.training import Builder, Epoch, History, Loss, Rows, TrainingSettings, fit
from expunge.unlearning.fresh import Fresh
from expunge.unlearning.laws import Law
from expunge.unlearning.parameters import in_play, working_copy
from expunge.unlearning.perturbation import Perturbed, perturb
from expunge.unlearning.philox import Stream
from expunge.unlearning.repair import mend
from expunge.unlearning.saliency import SaliencyKind, saliency
from expunge.unlearning.selection import Selection, random_k, top_k


@dataclass
class Work:
    """What a strategy works with. `network` starts as a copy of `model`, which stays as it is."""

    model: nn.Module
    forget: Rows = field(repr=False)
    retain: Rows = field(repr=False)
    loss: Loss
    seed: int
    device: torch.device
    factory: Builder | None = None
    on_epoch: Callable[[Epoch], None] | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    cost: float = 0.0

    def __post_init__(self) -> None:
        self.network = working_copy(self.model)
        self.fresh = Fresh(self.network, self.factory, self.seed)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the block's wall time to the stage's."""
        begin = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - begin

    def saliency(self, kind: SaliencyKind, microbatch: int) -> dict[str, torch.Tensor]:
        """Saliency of the forget split, by parameter."""
        with self.stage("saliency"):
            found = saliency(
                self.network,
                self.forget,
                self.loss,
                kind=kind,
                microbatch=microbatch,
                seed=self.seed,
                device=self.device,
            )
            self.network.cpu()
        self.cost += len(self.forget)
        return found

    def top_k(
        self, saliencies: Mapping[str, torch.Tensor], fraction: float, *, per_layer: bool = False
    ) -> Selection:
        """The most salient share of the parameters."""
        with self.stage("select"):
            return top_k(saliencies, fraction, self._stream("select"), per_layer=per_layer)

    def random_k(self, fraction: float) -> Selection:
        """A share of the parameters chosen by key alone."""
        with self.stage("select"):
            return random_k(in_play(self.network).sizes, fraction, self._stream("select"))

    def perturb(self, selection: Selection, law: Law) -> Perturbed:
        """Change the selected parameters of `network`."""
        with self.stage("perturb"):
            noise = self._stream("noise")
            return perturb(self.network, self.model, selection, law, fresh=self.fresh, stream=noise)

    def repair(self, settings: TrainingSettings) -> History:
        """Train `network` on the retain split, its statistics included."""
        with self.stage("repair"):
            done = mend(
                self.network,
                self.retain,
                settings,
                self.loss,
                seed=self.seed,
                device=self.device,
                on_epoch=self.on_epoch,
            )
        self.cost += done.history.samples + done.forward_rows / 3
        return done.history

    def train(self, settings: TrainingSettings) -> History:
        """Train `network` on the retain split just as a champion is trained."""
        with self.stage("train"):
            history = fit(
                self.network,
                self.retain,
                settings,
                self.loss,
                seed=self.seed,
                device=self.device,
                on_epoch=self.on_epoch,
            )
        self.cost += history.samples
        return history

    def _stream(self, purpose: str) -> Stream:
        return Stream(self.seed, purpose)
