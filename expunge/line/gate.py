"""Gate: pass, fail or inconclusive, by the margins of the model's spec.

Inconclusive never promotes: the next rung is tried, and exact retrain decides in the end. Whoever
wants to collect more rows first says `inconclusive: wait`, which happens at claim.
"""

from __future__ import annotations

from typing import Any

from expunge.evaluation import Evaluation, judge
from expunge.line.attempt import Attempt
from expunge.line.context import Line
from expunge.line.register import register
from expunge.requests import Fence


def gate(line: Line, batch_id: str, fence: Fence, attempt: Attempt) -> bool:
    """Judge the attempt and log its candidate; True when it may be promoted."""
    with line.station(batch_id, "gate", fence, attempt.part) as outcome:
        if outcome is not None:
            measured = line.found(batch_id, "evaluate", attempt.part)
            outcome.update(_judged(line, attempt, measured), strategy=attempt.strategy(line))
    found = line.found(batch_id, "gate", attempt.part)
    line.progress("gate", f"{attempt.model}: {found['strategy']} → {found['outcome']}")
    if line.found(batch_id, "evaluate", attempt.part)["evaluation"] is not None:
        register(line, fence, attempt)
    return bool(found["outcome"] == "pass")


def _judged(line: Line, attempt: Attempt, measured: Any) -> dict[str, Any]:
    if measured["evaluation"] is None:
        return {"outcome": "fail", "why": measured["diverged"], "criteria": []}
    spec = attempt.spec(line)
    verdict = judge(
        Evaluation.from_json(measured["evaluation"]),
        spec.gate,
        rung=attempt.rung + 1,
        rungs=len(spec.ladder),
        exact=attempt.strategy(line) == "exact_retrain",
    )
    return {**verdict.to_json(), "why": verdict.words}
