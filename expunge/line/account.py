"""The account of a batch: its report, read from the ledger alone.

So it can be told while MLflow is away, and at any time after the batch; where a request or a model
stands is as of now.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from expunge.evaluation import Criterion, Evaluation
from expunge.evaluation.duplicates import Duplicates
from expunge.line.attempt import Attempt
from expunge.line.context import Line
from expunge.line.qualification import REQUEST, settings_digest
from expunge.line.report import attempts, held, plan_words, seconds
from expunge.line.request import validity_of
from expunge.report import (
    AuditRecord,
    DatasetPoint,
    Edit,
    Erasure,
    MeasuredRow,
    ModelPart,
    Report,
    RequestFacts,
    RungPart,
)
from expunge.requests import DatasetVersion

_STEPS = ("unlearn", "evaluate", "gate")
_BEFORE = "_before"


def account(line: Line, batch_id: str) -> Report:
    """Everything that the ledger holds of a batch.

    Raises:
        UnknownRecordError: there is no such batch.
    """
    batch = line.ledger.batch(batch_id)
    summary = line.ledger.summary(batch_id)
    names = sorted({*batch.champions, *line.ledger.decisions(batch_id)})
    parts = [_model(line, batch_id, name, batch.champions.get(name)) for name in names]
    return Report(
        batch_id=batch.id,
        dataset=batch.dataset,
        state=batch.state,
        reason=batch.reason,
        opened_at=batch.created_at,
        ended_at=summary.ended_at,
        asked=summary.asked,
        requests=line.ledger.request_states(batch_id),
        erasure=_erasure(line, batch_id, batch.dataset, summary.people),
        models=tuple(part for part in parts if part.decision or part.rungs),
        seconds=seconds(line, batch_id),
    )


def _erasure(line: Line, batch_id: str, dataset: str, people: int) -> Erasure | None:
    staged = line.ledger.outcome(batch_id, "stage")
    versions = {version.ordinal: version for version in line.ledger.versions(dataset)}
    made = [version for version in versions.values() if version.batch_id == batch_id]
    if staged is None or not made:
        return None
    after = made[0]
    return Erasure(
        rows=staged["rows_erased"],
        rows_by_role=staged["by_role"],
        people=people,
        shards=len(staged["touched"]),
        shards_total=staged["shards_total"],
        expectations=len(line.found(batch_id, "validate")["expectations"]),
        before=_point(versions[after.ordinal - 1]),
        after=_point(after),
    )


def _point(version: DatasetVersion) -> DatasetPoint:
    return DatasetPoint(
        version.ordinal, version.md5, version.commit, version.rows, version.created_at
    )


def _model(line: Line, batch_id: str, name: str, champion: str | None) -> ModelPart:
    decided, version = line.ledger.decisions(batch_id).get(name, (None, None))
    tried = attempts(line, batch_id, name)
    rungs = tuple(_rung(line, attempt) for attempt in tried)
    asked = line.ledger.approvals(batch_id)
    promoted = bool(tried) and line.ledger.outcome(batch_id, "promote", tried[-1].part) is not None
    kept = held(line, batch_id, name) if decided == "held" else {}
    return ModelPart(
        name=name,
        version_before=champion,
        version_after=version or champion,
        decision=decided,
        while_held=str(kept.get("while_held", "")),
        why=str(kept.get("why", "")),
        approvals=tuple(each for each in asked if each.model == name),
        plan=plan_words(line, batch_id, name),
        facts=tuple(_facts(line, batch_id, part) for part in _fact_parts(line, batch_id, name)),
        rungs=rungs,
        promoted=rungs[-1] if promoted else None,
    )


def _fact_parts(line: Line, batch_id: str, model: str) -> list[str]:
    parts = [part.split("/") for part in line.ledger.parts(batch_id, "evaluate")]
    return ["/".join(part) for part in parts if part[0] == model and part[-1] == "request"]


def _facts(line: Line, batch_id: str, part: str) -> RequestFacts:
    found = line.found(batch_id, "evaluate", part)
    return RequestFacts(
        base=part.split("/")[1],
        forget_rows=found["forget_rows"],
        held_out_rows=found["held_out_rows"],
        held_out_people=found["held_out_people"],
        inputs_differ=found["blind"]["distribution_differs"],
        inputs=found["blind"]["words"],
        duplicates=Duplicates(**found["duplicates"]).words,
    )


def _rung(line: Line, attempt: Attempt) -> RungPart:
    batch_id, part = attempt.batch_id, attempt.part
    unlearned, judged = (line.found(batch_id, station, part) for station in ("unlearn", "gate"))
    measured = line.found(batch_id, "evaluate", part)["evaluation"]
    evaluation = Evaluation.from_json(measured) if measured else None
    edit = unlearned.get("edit")
    effect = line.ledger.effect(f"register:{batch_id}:{part}")
    registered = effect.result if effect and effect.result else {}
    exact = bool(judged.get("exact", attempt.rung + 1 == len(attempt.spec(line).ladder)))
    return RungPart(
        number=attempt.rung + 1,
        of=judged.get("rungs", len(attempt.spec(line).ladder)),
        base=attempt.base,
        strategy=judged["strategy"],
        settings=_flat(edit["settings"]) if edit else {},
        outcome=judged["outcome"],
        why=judged["why"],
        alpha=judged.get("alpha"),
        exact=exact,
        request=evaluation.request if evaluation else None,
        criteria=tuple(Criterion.from_json(each) for each in judged["criteria"]),
        measured=_measured(line, attempt, evaluation) if evaluation else (),
        notes=evaluation.notes if evaluation else (),
        edit=_edit(edit) if edit else None,
        diverged=unlearned["diverged"],
        qualification=judged.get("qualification"),
        audit=_audit(line, attempt, judged.get("qualification")),
        version=registered.get("version"),
        run_id=registered.get("run"),
        seconds={station: line.found(batch_id, station, part)["seconds"] for station in _STEPS},
    )


def _edit(record: Mapping[str, Any]) -> Edit:
    return Edit(
        parameters=record["parameters"],
        masked=record["masked"],
        changed=record["changed"],
        passes=record["cost"],
        seconds=record["seconds"]["total"],
    )


def _measured(line: Line, attempt: Attempt, evaluation: Evaluation) -> tuple[MeasuredRow, ...]:
    """Every metric of the candidate with the champion's and what makes it valid or not."""
    request = line.found(attempt.batch_id, "evaluate", f"{attempt.model}/{attempt.base}/request")
    known = {metric.name: metric for metric in evaluation.metrics}
    return tuple(
        MeasuredRow(metric, known.get(name + _BEFORE), *validity_of(metric, evaluation, request))
        for name, metric in known.items()
        if not name.endswith(_BEFORE)
    )


def _audit(line: Line, attempt: Attempt, cited: int | None) -> AuditRecord | None:
    """The record that was cited, or the newest one of the rung's settings before the gate."""
    ladder = attempt.spec(line).ladder
    if attempt.rung >= len(ladder):  # the spec was shortened since
        return None
    settings = settings_digest(ladder[attempt.rung])
    records = line.ledger.qualifications(attempt.model, settings=settings, request=REQUEST)
    ended = line.ledger.summary(attempt.batch_id).ended_at
    known = [
        record
        for record in records
        if record.id == cited or (cited is None and (ended is None or record.created_at <= ended))
    ]
    if not known:
        return None
    newest = known[-1]
    return AuditRecord(newest.id, newest.outcome, newest.version, newest.created_at)


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The strategy's settings, then those of its training."""
    own = {name: value for name, value in settings.items() if not isinstance(value, Mapping)}
    for value in settings.values():
        if isinstance(value, Mapping):
            own |= _flat(value)
    return own
