"""Champion and candidate of one attempt, side by side on the same rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from expunge.evaluation import (
    EvaluationInput,
    Metric,
    SplitScores,
    reference_margin,
    sample_rows,
    score,
)
from expunge.line.attempt import Attempt
from expunge.line.context import Line
from expunge.line.references import references
from expunge.line.unlearn import base_weights
from expunge.networks import device_of, network
from expunge.requests import Fence
from expunge.specs import ModelSpec

if TYPE_CHECKING:
    import torch

    from expunge.dataset import ArrowRows
    from expunge.evaluation.spdgan import Degree, Fitted
    from expunge.line.evaluate import Splits


@dataclass(frozen=True, eq=False)
class Pair:
    """Two models and the reference models, and how they score rows.

    A candidate that is an exact retrain is read against the same estimates as any other: beside
    itself it would be perfect whatever it was.
    """

    champion: torch.nn.Module
    candidate: torch.nn.Module
    peers: list[torch.nn.Module]
    classes: int | None
    device: str

    def scored(self, rows: ArrowRows) -> SplitScores:
        """Scores of both models on `rows`."""
        before, after = (
            score(model, rows, device=self.device) for model in (self.champion, self.candidate)
        )
        return SplitScores(before, after)

    def hard(self, rows: ArrowRows) -> SplitScores:
        """The same, with what the reference models say of each row."""
        margin = reference_margin(self.peers, rows, device=self.device)
        return replace(self.scored(rows), reference_margin=margin)

    def inputs(self, rows: Splits) -> EvaluationInput:
        """Scores on all three splits; of the retain split on a sample."""
        retain = rows.retain.select(sample_rows(len(rows.retain), seed=rows.seed))
        return EvaluationInput(
            forget=self.hard(rows.forget),
            retain=self.scored(retain),
            held_out=self.hard(rows.held_out),
        )

    def degree(self, fitted: Fitted | None, rows: Splits) -> Degree:
        """The unlearning degree, with its controls; without a generator, why there is none."""
        from expunge.evaluation.spdgan import Models, no_degree, unlearning_degree

        if fitted is None:
            return no_degree(len(rows.forget))
        known = Models(self.champion, self.candidate)
        return unlearning_degree(
            fitted, known, rows.forget, rows.held_out, seed=rows.seed, device=self.device
        )

    def probed(self, rows: Splits, inputs: EvaluationInput) -> tuple[Metric, ...]:
        """What a fresh classifier finds in the features of either; reported, never gated."""
        from expunge.evaluation.probe import probe_metrics

        forget, held_out = (side.reference_margin for side in (inputs.forget, inputs.held_out))
        if forget is None or held_out is None:
            return ()
        return probe_metrics(
            (self.champion, self.candidate),
            (rows.retain, rows.forget, rows.held_out),
            (forget, held_out),
            classes=self.classes,
            request=inputs.request,
            seed=rows.seed,
            device=self.device,
        )


def pair_of(line: Line, fence: Fence, attempt: Attempt) -> Pair:
    """Load what the attempt compares; reference models from the cache, or trained now."""
    spec = attempt.spec(line)
    return Pair(
        peers=references(line, fence, spec),
        champion=_load(line, spec, base_weights(line, attempt)),
        candidate=_load(line, spec, attempt.weights(line)),
        classes=line.workspace.dataset(spec.dataset).classes,
        device=device_of(spec),
    )


def _load(line: Line, spec: ModelSpec, weights: Path) -> torch.nn.Module:
    from expunge.training import load_weights

    model = network(line.workspace, spec).build(spec.recipe.seed)
    load_weights(model, weights)
    return model
