"""What is logged to MLflow of an attempt: weights, edit record, metrics, plots."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from expunge.evaluation import Evaluation
from expunge.line.attempt import Attempt
from expunge.line.context import Line
from expunge.line.description import description
from expunge.line.pictures import pictures
from expunge.line.request import validity_of
from expunge.lineage import Candidate, DatasetInput, FactoryReference
from expunge.networks import network
from expunge.specs import ModelSpec
from expunge.workspace import Workspace


def candidate_of(line: Line, attempt: Attempt, effect_key: str) -> Candidate:
    """Gather what the stations of `attempt` found, under the key of its register effect."""
    from expunge.training import load_weights

    spec = attempt.spec(line)
    unlearned = line.found(attempt.batch_id, "unlearn", attempt.part)
    judged = line.found(attempt.batch_id, "gate", attempt.part)
    evaluation = Evaluation.from_json(
        line.found(attempt.batch_id, "evaluate", attempt.part)["evaluation"]
    )
    request = line.found(attempt.batch_id, "evaluate", f"{attempt.model}/{attempt.base}/request")
    weights = attempt.weights(line)
    module = network(line.workspace, spec).build(spec.recipe.seed)
    load_weights(module, weights)
    rung = spec.ladder[attempt.rung]
    return Candidate(
        effect_key=effect_key,
        model=attempt.model,
        kind="retrained" if rung.exact else "unlearned",
        module=module,
        weights=weights,
        factory=factory_reference(line.workspace, spec),
        input_shape=line.workspace.dataset(spec.dataset).features.input_shape,
        datasets=_datasets(line, attempt, unlearned),
        params={"strategy": rung.strategy, **_flat(rung.model_dump(exclude_none=True))},
        metrics=_numbers(evaluation, unlearned),
        metric_table=_table(evaluation, request),
        parent=attempt.base,
        batch_id=attempt.batch_id,
        tags={"expunge.gate": judged["outcome"]},
        figures=pictures(line, attempt, evaluation, unlearned),
        title=f"{rung.strategy}: {judged['outcome']}",
        description=description(attempt, judged, evaluation),
        artifacts={
            "edit.json": unlearned["edit"],
            "gate.json": dict(judged),
            "validation.json": dict(line.found(attempt.batch_id, "validate")),
            "request.json": dict(request),
        },
    )


def _datasets(line: Line, attempt: Attempt, unlearned: Any) -> tuple[DatasetInput, ...]:
    """The version that it is a model of, then those that the forgotten rows came from."""
    spec = attempt.spec(line)
    versions = line.ledger.versions(spec.dataset)
    current = versions[-1]
    before = [version for version in versions if version.ordinal == current.ordinal - 1]
    retain, forget = unlearned["retain_rows"], unlearned["forget_rows"]
    return (
        DatasetInput(
            current.dataset, current.md5, current.commit, current.ordinal, {"retain": retain}
        ),
        *(DatasetInput(v.dataset, v.md5, v.commit, v.ordinal, {"forget": forget}) for v in before),
    )


def _table(evaluation: Evaluation, request: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every metric, with what makes it valid or not for such a request and so many rows."""
    rows = []
    for metric in evaluation.metrics:
        valid, why = validity_of(metric, evaluation, request)
        rows.append(metric.to_json() | ({} if valid is None else {"valid": valid, "why": why}))
    return rows


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _numbers(evaluation: Evaluation, unlearned: Any) -> dict[str, float]:
    """The finite metrics, with their standard errors and references, and the cost.

    Six digits, as people read them; `metrics.json` has them all.
    """
    numbers = {"cost_gradient_samples": float(unlearned["edit"]["cost"])}
    for metric in evaluation.metrics:
        for suffix, value in {
            "": metric.value,
            "_se": metric.se,
            "_reference": metric.reference,
        }.items():
            if value is not None and math.isfinite(value):
                numbers[metric.name + suffix] = float(f"{value:.6g}")
    return numbers


def factory_reference(workspace: Workspace, spec: ModelSpec) -> FactoryReference:
    """What is written beside the weights, to build the same network again."""
    factory = network(workspace, spec)
    return FactoryReference(spec.factory, dict(spec.args), factory.source_digest)
