"""The report of one batch, read from the ledger: the JSON contract of `expunge run --json`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from expunge.line.attempt import Attempt
from expunge.line.context import Line
from expunge.requests import Approval, Decision

STATIONS = ("claim", "stage", "validate", "publish", "unlearn", "evaluate", "gate", "promote")


@dataclass(frozen=True)
class DatasetReport:
    """What the batch did to its dataset."""

    name: str
    version_before: str | None
    version_after: str | None
    rows_erased: int
    shards_rewritten: int
    shards_total: int


@dataclass(frozen=True)
class RungReport:
    """One rung that was tried: its verdict, in words, and its metrics.

    `qualification`: the audit record that spoke for it where the verdict was inconclusive.
    """

    strategy: str
    outcome: str
    why: str
    metrics: dict[str, Any]
    qualification: int | None = None


@dataclass(frozen=True)
class ModelReport:
    """What the batch did to one governed model.

    `plan` says why rungs were skipped or moved, `why` why one that passed was not promoted.
    """

    name: str
    version_before: str | None
    version_after: str | None
    decision: Decision
    strategy: str | None
    metrics: dict[str, Any]
    rungs: tuple[RungReport, ...]
    plan: str = ""
    why: str = ""


@dataclass(frozen=True)
class BatchReport:
    """One batch: requests by state, dataset, models, seconds by station.

    `approvals`: what a person was asked, and answered.
    """

    batch_id: str
    state: str
    requests: Mapping[str, int]
    dataset: DatasetReport
    models: tuple[ModelReport, ...]
    seconds: Mapping[str, float]
    approvals: tuple[Approval, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain dicts and lists."""
        return asdict(self)


def batch_report(line: Line, batch_id: str) -> BatchReport:
    """Put together what the ledger holds of a batch."""
    batch = line.ledger.batch(batch_id)
    return BatchReport(
        batch_id=batch_id,
        state=batch.state,
        requests=line.ledger.request_states(batch_id),
        dataset=_dataset(line, batch_id, batch.dataset),
        models=tuple(
            report
            for model in sorted(batch.champions)
            if (report := _model(line, batch_id, model, batch.champions[model]))
        ),
        seconds=seconds(line, batch_id),
        approvals=line.ledger.approvals(batch_id),
    )


def _dataset(line: Line, batch_id: str, name: str) -> DatasetReport:
    staged = line.ledger.outcome(batch_id, "stage") or {}
    published = line.ledger.outcome(batch_id, "publish") or {}
    current = line.ledger.current_version(name)
    unchanged = current.md5 if current else None
    return DatasetReport(
        name=name,
        version_before=published.get("version_before", unchanged),
        version_after=published.get("version_after", unchanged),
        rows_erased=staged.get("rows_erased", 0) if published else 0,
        shards_rewritten=len(staged.get("touched", ())) if published else 0,
        shards_total=staged.get("shards_total", current.shards if current else 0),
    )


def _model(line: Line, batch_id: str, model: str, champion: str | None) -> ModelReport | None:
    """The model's decision; None for a model that had nothing to settle."""
    decided = line.ledger.decisions(batch_id).get(model)
    if decided is None:
        return None
    decision, version = decided
    tried = attempts(line, batch_id, model)
    rungs = tuple(_rung(line, attempt) for attempt in tried)
    promoted = tried and line.ledger.outcome(batch_id, "promote", tried[-1].part)
    return ModelReport(
        name=model,
        version_before=champion,
        version_after=version or champion,
        decision=decision,
        strategy=rungs[-1].strategy if promoted else None,
        metrics=rungs[-1].metrics if promoted else {},
        rungs=rungs,
        plan=plan_words(line, batch_id, model),
        why=str(held(line, batch_id, model).get("why", "")) if decision == "held" else "",
    )


def plan_words(line: Line, batch_id: str, model: str) -> str:
    """Why the ladder was not tried as the spec has it, of the last base; empty if it was."""
    parts = [p for p in line.ledger.parts(batch_id, "plan") if p.split("/")[0] == model]
    return str(line.found(batch_id, "plan", parts[-1])["why"]) if parts else ""


def held(line: Line, batch_id: str, model: str) -> Mapping[str, Any]:
    """The last outcome of station hold for a model; empty where there is none."""
    parts = [part for part in line.ledger.parts(batch_id, "hold") if part.split("/")[0] == model]
    return line.found(batch_id, "hold", parts[-1]) if parts else {}


def attempts(line: Line, batch_id: str, model: str) -> list[Attempt]:
    """Attempts that reached the gate, in the order in which they were made."""
    tried = []
    for part in line.ledger.parts(batch_id, "gate"):
        name, base, rung = part.split("/")
        if name == model:
            tried.append(Attempt(batch_id, name, base, int(rung)))
    return tried


def _rung(line: Line, attempt: Attempt) -> RungReport:
    judged = line.found(attempt.batch_id, "gate", attempt.part)
    measured = line.found(attempt.batch_id, "evaluate", attempt.part)["evaluation"]
    return RungReport(
        strategy=judged["strategy"],
        outcome=judged["outcome"],
        why=judged["why"],
        metrics={metric["name"]: metric for metric in (measured or {"metrics": ()})["metrics"]},
        qualification=judged.get("qualification"),
    )


def seconds(line: Line, batch_id: str) -> dict[str, float]:
    """What each station took, all attempts together."""
    totals: dict[str, float] = defaultdict(float)
    for station in STATIONS:
        for part in line.ledger.parts(batch_id, station):
            totals[station] += line.found(batch_id, station, part)["seconds"]
    return {station: round(spent, 3) for station, spent in totals.items()}
