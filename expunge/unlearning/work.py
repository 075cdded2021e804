"""One unlearning under way: the steps of the method, on a copy, each timed and paid for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import nn

from expunge.training import Builder, Epoch, History, Loss, Rows, TrainingSettings, fit
from expunge.unlearning.ascent import Term, contend
from expunge.unlearning.confined import confined
from expunge.unlearning.fresh import Fresh
from expunge.unlearning.laws import Law
from expunge.unlearning.parameters import in_play, working_copy
from expunge.unlearning.perturbation import Masks, Perturbed, Rule, alter, marked, perturb
from expunge.unlearning.philox import Stream
from expunge.unlearning.repair import mend, settle
from expunge.unlearning.saliency import SaliencyKind, WholeGradient, saliency
from expunge.unlearning.selection import Selection, bottom_k, random_k, top_k


@dataclass
class Work:
    """What a strategy works with. `network` starts as a copy of `model`, which stays as it is.

    `only`, once set, confines `train` to the selected parameters.
    """

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
    only: Selection | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.network = working_copy(self.model)
        self.fresh = Fresh(self.network, self.factory, self.seed)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the block's wall time to the stage's."""
        begin = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - begin

    def saliency(
        self, kind: SaliencyKind | WholeGradient, microbatch: int, rows: Rows | None = None
    ) -> dict[str, torch.Tensor]:
        """Saliency by parameter, to the forget split unless other rows are given."""
        rows = self.forget if rows is None else rows
        with self.stage("saliency"):
            found = saliency(
                self.network,
                rows,
                self.loss,
                kind=kind,
                microbatch=microbatch,
                seed=self.seed,
                device=self.device,
            )
            self.network.cpu()
        self.cost += len(rows)
        return found

    def top_k(
        self, saliencies: Mapping[str, torch.Tensor], fraction: float, *, per_layer: bool = False
    ) -> Selection:
        """The most salient share of the parameters."""
        with self.stage("select"):
            return top_k(saliencies, fraction, self._stream("select"), per_layer=per_layer)

    def bottom_k(
        self, saliencies: Mapping[str, torch.Tensor], fraction: float, *, per_layer: bool = False
    ) -> Selection:
        """The least salient share of the parameters."""
        with self.stage("select"):
            return bottom_k(saliencies, fraction, self._stream("select"), per_layer=per_layer)

    def random_k(self, fraction: float) -> Selection:
        """A share of the parameters chosen by key alone."""
        with self.stage("select"):
            return random_k(in_play(self.network).sizes, fraction, self._stream("select"))

    def perturb(self, selection: Selection, law: Law) -> Perturbed:
        """Change the selected parameters of `network`."""
        with self.stage("perturb"):
            noise = self._stream("noise")
            return perturb(self.network, self.model, selection, law, fresh=self.fresh, stream=noise)

    def alter(self, masks: Masks, rule_of: Callable[[str, nn.Parameter], Rule]) -> Perturbed:
        """Change the masked parameters of `network` by a rule of the strategy's own."""
        with self.stage("perturb"):
            return alter(self.network, self.model, masks, rule_of)

    def confine(self, selection: Selection) -> Perturbed:
        """Change nothing; from now on `train` moves the selected parameters alone."""
        with self.stage("select"):
            self.only = selection
            return marked(self.network, selection)

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

    def train(self, settings: TrainingSettings, rows: Rows | None = None) -> History:
        """Train `network` just as a champion is trained, on the retain split or other rows."""
        with self.stage("train"), confined(self.network, self.only, self.device):
            history = fit(
                self.network,
                self.retain if rows is None else rows,
                settings,
                self.loss,
                seed=self.seed,
                device=self.device,
                on_epoch=self.on_epoch,
            )
        self.cost += history.samples
        return history

    def contend(
        self, terms: Sequence[Term], settings: TrainingSettings, clip: float | None
    ) -> History:
        """Train `network` on a weighted sum of losses, the forgotten rows' among them."""
        with self.stage("train"):
            history = contend(
                self.network,
                terms,
                settings,
                self.loss,
                clip=clip,
                seed=self.seed,
                device=self.device,
                on_epoch=self.on_epoch,
            )
        self.cost += history.samples
        return history

    def settle(self, batch_size: int = 64) -> None:
        """Re-estimate BatchNorm's running statistics on the retain split."""
        with self.stage("statistics"):
            rows = settle(
                self.network,
                self.retain,
                batch_size=batch_size,
                seed=self.seed,
                device=self.device,
            )
        self.cost += rows / 3

    def _stream(self, purpose: str) -> Stream:
        return Stream(self.seed, purpose)
