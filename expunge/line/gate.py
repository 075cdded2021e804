"""Gate: pass, fail or inconclusive, by the margins of the model's spec."""

from __future__ import annotations

from expunge.evaluation import Evaluation, judge
from expunge.line.attempt import Attempt
from expunge.line.context import Line
from expunge.requests import Fence


def gate(line: Line, batch_id: str, fence: Fence, attempt: Attempt) -> bool:
    """Judge the attempt; True when its candidate may be promoted."""
    with line.station(batch_id, "gate", fence, attempt.part) as outcome:
        if outcome is not None:
            spec = attempt.spec(line)
            measured = line.found(batch_id, "evaluate", attempt.part)
            outcome.update(strategy=spec.ladder[attempt.rung].strategy)
            if measured["evaluation"] is None:
                outcome.update(outcome="fail", why=measured["diverged"], criteria=[])
            else:
                verdict = judge(
                    Evaluation.from_json(measured["evaluation"]),
                    spec.gate,
                    rung=attempt.rung + 1,
                    rungs=len(spec.ladder),
                    exact=spec.ladder[attempt.rung].strategy == "exact_retrain",
                )
                outcome.update(verdict.to_json(), why=verdict.words)
    found = line.found(batch_id, "gate", attempt.part)
    line.progress("gate", f"{attempt.model}: {found['strategy']} → {found['outcome']}")
    return bool(found["outcome"] == "pass")
