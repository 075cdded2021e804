"""What audit records say: whether an inconclusive candidate may go, and which rung comes first.

A record is of one rung's settings on one model. It speaks for a candidate only where it was made
on the candidate's base or on an ancestor of it since the last exact model: edits change how a
model answers further edits, and an exact model starts anew.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from expunge.line.attempt import base_of
from expunge.line.context import Line
from expunge.requests import MockKind, ModelVersion, Qualification
from expunge.specs import ModelSpec, Rung

REQUEST: MockKind = "subjects"  # what people ask for, so what speaks for a candidate


@dataclass(frozen=True)
class Standing:
    """Whether an inconclusive candidate is promoted all the same, by which record, and why."""

    record: int | None
    words: str


def settings_digest(rung: Rung) -> str:
    """A digest of a rung's settings, its defaults among them."""
    settings = json.dumps(rung.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(settings.encode()).hexdigest()[:16]


def newest_record(line: Line, model: str, rung: Rung) -> Qualification | None:
    """The newest audit record of these settings on mock requests of whole subjects."""
    found = line.ledger.qualifications(model, settings=settings_digest(rung), request=REQUEST)
    return found[-1] if found else None


def standing(line: Line, spec: ModelSpec, rung: Rung, base: str, now: datetime) -> Standing:
    """What the newest record says of an inconclusive candidate of `rung`, made from `base`."""
    record = newest_record(line, spec.name, rung)
    audit = f"expunge audit {spec.name}"
    if record is None:
        return Standing(None, f"Not qualified: no audit on record: {audit}.")
    called = f"audit record {record.id} of {record.created_at:%Y-%m-%d}"
    if record.outcome != "pass":
        return Standing(None, f"Not qualified: {called} says {record.outcome}.")
    if record.version not in {each.version for each in lineage(line, spec.name, base)}:
        return Standing(
            None,
            f"Not qualified: {called} is of version {record.version}, which version {base} does "
            f"not come from by edits: {audit}.",
        )
    if now - record.created_at > timedelta(days=spec.gate.qualification_days):
        limit = f"older than {spec.gate.qualification_days} days"
        return Standing(None, f"Not qualified: {called} is {limit}: {audit}.")
    words = f"Qualified: no criterion failed, and {called} says pass for these settings."
    return Standing(record.id, words)


def lineage(line: Line, model: str, version: str) -> tuple[ModelVersion, ...]:
    """A version and those that it was edited from, back to the last exact model."""
    known = {each.version: each for each in line.ledger.model_versions(model)}
    found = [base_of(line, model, version)]
    while found[-1].kind == "unlearned" and found[-1].parent in known:
        found.append(known[str(found[-1].parent)])
    return tuple(found)


def audited_order(line: Line, spec: ModelSpec) -> tuple[int, ...]:
    """Rungs by what their newest record says; exact retrain stays last.

    Those that passed come first, the cheapest first; then those without a verdict, as in the
    spec; then those that failed.
    """
    *before, last = range(len(spec.ladder))
    return (*sorted(before, key=lambda rung: _place(line, spec, rung)), last)


def _place(line: Line, spec: ModelSpec, rung: int) -> tuple[int, float, int]:
    record = newest_record(line, spec.name, spec.ladder[rung])
    if record is None or record.outcome == "inconclusive":
        return 1, 0.0, rung
    return (2, 0.0, rung) if record.outcome == "fail" else (0, _cost(record), rung)


def _cost(record: Qualification) -> float:
    """Gradient-sample passes of one unlearning; what was not measured is not cheap."""
    found = record.metrics.get("metrics", {}).get("cost", {}).get("mean")
    return float("inf") if found is None else float(found)
