"""Every metric of one model of one cell, as plain numbers; NaN where it cannot be had."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn

from benchmarks.compare.data import Splits
from benchmarks.compare.inputs import EVALUATED, evaluation_input
from expunge.evaluation import (
    Evaluation,
    EvaluationInput,
    Metric,
    Scores,
    evaluate,
    score,
)
from expunge.evaluation.comparison import literature_metrics
from expunge.evaluation.divergence import divergence_gap
from expunge.evaluation.lira import ShadowScores, offline_lira
from expunge.evaluation.membership import comparable
from expunge.evaluation.relearning import relearn_ratio
from expunge.evaluation.spdgan import Fitted, Models, unlearning_degree
from expunge.training import predict

RESAMPLES = 200  # errors of a cell serve the gate alone: spread here is over seeds


@dataclass(frozen=True)
class Bench:
    """What all models of a cell are measured against."""

    splits: Splits
    champion: nn.Module
    retrain: nn.Module
    second: nn.Module
    peers: list[nn.Module]
    generator: Fitted
    shadows: tuple[ShadowScores, ShadowScores] | None
    seed: int

    def inputs(self, model: nn.Module, *, with_retrain: bool = True) -> EvaluationInput:
        """Scores of champion, `model` and, if wanted, exact retrain on the three splits."""
        models = [self.champion, model, *([self.retrain] if with_retrain else [])]
        return evaluation_input(
            self.splits, models, self.peers, kind=self.splits.kind, seed=self.seed
        )

    def measure(self, model: nn.Module) -> dict[str, float]:
        """All numbers of `model`."""
        inputs = self.inputs(model)
        found = evaluate(inputs, seed=self.seed, resamples=RESAMPLES)
        numbers = {name: found.metric(name).value for name in EVALUATED}
        numbers |= _values(literature_metrics(inputs, seed=self.seed, resamples=RESAMPLES))
        numbers |= _values(self._lira(inputs))
        numbers |= _values(self._divergence(model))
        numbers |= _values(self._degree(model).metrics)
        numbers["relearn_ratio"] = self._relearn(model)
        return numbers

    def evaluation(self, model: nn.Module) -> Evaluation:
        """What the gate would see: no retrain to compare with."""
        return evaluate(self.inputs(model, with_retrain=False), seed=self.seed)

    def _lira(self, inputs: EvaluationInput) -> Iterable[Metric]:
        if self.shadows is None:
            return ()
        sides = inputs.forget.candidate, inputs.held_out.candidate
        return offline_lira(
            sides,
            self.shadows,
            request=inputs.request,
            seed=self.seed,
            resamples=RESAMPLES,
        )[:1]

    def _divergence(self, model: nn.Module) -> Iterable[Metric]:
        rows = comparable(*(self._labelled(side) for side in self._sides))
        outputs = [
            tuple(predict(each, side, device="cpu").numpy() for side in self._sides)
            for each in (model, self.retrain, self.second)
        ]
        return divergence_gap(rows, *outputs)  # type: ignore[arg-type]

    @property
    def _sides(self) -> tuple[object, object]:
        return self.splits.forget, self.splits.held_out

    def _labelled(self, rows: object) -> Scores:
        return score(self.champion, rows, device="cpu")

    def _degree(self, model: nn.Module) -> object:
        models = Models(self.champion, model, self.retrain)
        return unlearning_degree(
            self.generator,
            models,
            self.splits.forget,
            self.splits.held_out,
            seed=self.seed,
            device="cpu",
        )

    def _relearn(self, model: nn.Module) -> float:
        return relearn_ratio(
            self.champion, model, self.retrain, self.splits.forget, seeds=(0,)
        ).metric.value


def _values(metrics: Iterable[Metric]) -> dict[str, float]:
    return {metric.name: metric.value for metric in metrics}
