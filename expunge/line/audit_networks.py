"""What an audit measures on the networks themselves, beyond the scores that the gate judges.

The unlearning degree and the fresh probe need champion and candidate only; divergence and
relearning set the candidate beside an exact retrain of the same mock request. All of it is
reported, none of it gates (method.md, sections 3 and 4).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from expunge.evaluation import Metric
from expunge.evaluation.membership import comparable
from expunge.evaluation.metric import undefined
from expunge.evaluation.validity_rules import NEVER
from expunge.line.trial import Ground, Made
from expunge.networks import device_of, loss_of

if TYPE_CHECKING:
    from torch import nn

    from expunge.evaluation.divergence import Outputs
    from expunge.evaluation.membership import TwoSides

RETAIN_STEPS = 100
"""Steps of training that go on as in production, to see whether forgotten rows come back."""


def network_metrics(
    ground: Ground, made: Made, retrains: tuple[Made, Made] | None = None
) -> dict[str, Metric]:
    """UD with its controls and the probe; with two retrains JS_f − JS_t and relearning as well."""
    if made.tested is None:
        return {}
    load = ground.bench.load
    networks = _Networks(ground, load(ground.bench.champion_weights), load(made.weights))
    if retrains is None:
        found = [*networks.degree(None), networks.probe(None)]
    else:
        first, second = (load(each.weights) for each in retrains)
        found = [*networks.degree(first), networks.probe(first)]
        found += [*networks.divergence(first, second), *networks.relearning(first)]
    return {each.name: _valid(each, ground) for each in found}


def _valid(metric: Metric, ground: Ground) -> Metric:
    """The metric, unless it means nothing for such a request."""
    why = NEVER.get((metric.name, ground.mock.kind))
    return undefined(metric.name, why, metric.n) if why else metric


@dataclass(frozen=True)
class _Networks:
    """What one trial is measured on: champion and candidate, on the rows of `ground`."""

    ground: Ground
    champion: nn.Module
    candidate: nn.Module

    @property
    def device(self) -> str:
        return device_of(self.ground.bench.spec)

    def degree(self, retrain: nn.Module | None) -> Iterable[Metric]:
        """UD, its calibration and controls; nUD where there is a retrain."""
        from expunge.evaluation.spdgan import Models, no_degree, unlearning_degree

        fitted = self.ground.bench.generator
        if fitted is None:
            return no_degree(len(self.ground.forget)).metrics
        return unlearning_degree(
            fitted,
            Models(self.champion, self.candidate, retrain),
            self.ground.forget,
            self.ground.bench.held_out,
            seed=self.ground.seed,
            device=self.device,
        ).metrics

    def probe(self, retrain: nn.Module | None) -> Metric:
        """Hard-row AUC of a fresh linear classifier on the features."""
        from expunge.evaluation.metric import EvaluationError
        from expunge.evaluation.probe import probe_auc

        try:
            candidate = self._probed(self.candidate)
            exact = None if retrain is None else self._probed(retrain)
        except EvaluationError as error:
            return undefined("probe_hard_row_auc", error.what)
        return probe_auc(
            candidate,
            (self.ground.margin, self.ground.bench.held_out_margin),
            retrain=exact,
            request=self.ground.mock.kind,
            seed=self.ground.seed,
        )

    def _probed(self, model: nn.Module) -> TwoSides:
        from expunge.evaluation.probe import probe_scores

        bench = self.ground.bench
        return probe_scores(
            model,
            self.ground.retain,
            self.ground.forget,
            bench.held_out,
            classes=bench.line.workspace.dataset(bench.spec.dataset).classes,
            seed=self.ground.seed,
            device=self.device,
        )

    def divergence(self, retrain: nn.Module, second: nn.Module) -> Iterable[Metric]:
        """JS_f − JS_t to the retrain, with the floor between two retrains."""
        from expunge.evaluation.divergence import divergence_gap

        before = self.ground.champion
        if before.forget.task == "regression":
            why = "it compares class probabilities, and real labels have none"
            return [undefined(name, why, len(before.forget)) for name in ("js_gap", "js_floor")]
        outputs = [self._outputs(each) for each in (self.candidate, retrain, second)]
        return divergence_gap(comparable(before.forget, before.held_out), *outputs)

    def _outputs(self, model: nn.Module) -> Outputs:
        from expunge.training import predict

        forget, held_out = (
            predict(model, rows, device=self.device).numpy()
            for rows in (self.ground.forget, self.ground.bench.held_out)
        )
        return forget, held_out

    def relearning(self, retrain: nn.Module) -> Iterator[Metric]:
        """How fast a tenth brings the rest back, and whether retained rows alone do."""
        from expunge.evaluation.relearning import relearn_ratio, retain_only

        forget = self.ground.forget
        yield relearn_ratio(
            self.champion,
            self.candidate,
            retrain,
            forget,
            loss=loss_of(self.ground.bench.spec),
            device=self.device,
        ).metric
        yield retain_only(
            self.candidate,
            self.ground.retain,
            forget,
            steps=RETAIN_STEPS,
            retrain=retrain,
            loss=loss_of(self.ground.bench.spec),
            seed=self.ground.seed,
            device=self.device,
        )
