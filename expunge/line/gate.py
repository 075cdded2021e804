"""Gate: pass, fail or inconclusive, by the margins of the model's spec.

Inconclusive never promotes by itself: the next rung is tried, and exact retrain decides in the end.
Whoever wants to collect more rows first says `inconclusive: wait`, which happens at claim. With
`inconclusive: qualified` an audit that this strategy passed on this model speaks for a candidate
on which the rows do not decide.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from expunge.evaluation import Evaluation, Verdict, judge
from expunge.line.attempt import Attempt
from expunge.line.context import Line
from expunge.line.qualification import standing
from expunge.line.register import register
from expunge.requests import Fence


def gate(line: Line, batch_id: str, fence: Fence, attempt: Attempt) -> bool:
    """Judge the attempt and log its candidate; True when it may be promoted."""
    with line.station(batch_id, "gate", fence, attempt.part) as outcome:
        if outcome is not None:
            measured = line.found(batch_id, "evaluate", attempt.part)
            outcome.update(_judged(line, attempt, measured), strategy=attempt.strategy(line))
    found = line.found(batch_id, "gate", attempt.part)
    record = found.get("qualification")
    by = f", qualified by audit record {record}" if record is not None else ""
    line.progress("gate", f"{attempt.model}: {found['strategy']} → {found['outcome']}{by}")
    if line.found(batch_id, "evaluate", attempt.part)["evaluation"] is not None:
        register(line, fence, attempt)
    return bool(found["outcome"] == "pass" or record is not None)


def _judged(line: Line, attempt: Attempt, measured: Any) -> dict[str, Any]:
    if measured["evaluation"] is None:
        return {"outcome": "fail", "why": measured["diverged"], "criteria": []}
    spec = attempt.spec(line)
    verdict = judge(
        Evaluation.from_json(measured["evaluation"]),
        spec.gate,
        rung=attempt.rung + 1,
        rungs=len(spec.ladder),
        exact=attempt.exact(line),
    )
    return {**verdict.to_json(), "why": verdict.words, **_qualified(line, attempt, verdict)}


def _qualified(line: Line, attempt: Attempt, verdict: Verdict) -> dict[str, Any]:
    """What the audit records say, where the spec asks them about an inconclusive candidate."""
    spec = attempt.spec(line)
    if verdict.outcome != "inconclusive" or spec.gate.inconclusive != "qualified":
        return {}
    rung = spec.ladder[attempt.rung]
    found = standing(line, spec, rung, attempt.base, datetime.now(UTC))
    return {"qualification": found.record, "why": f"{verdict.words} {found.words}"}
