"""Register: log a judged candidate to MLflow, promoted or not; one effect.

A refused candidate is registered too, tagged with its verdict: what was tried and why it was
refused belongs to the evidence. The ledger does not know it, so no alias of ours moves to it.
"""

from __future__ import annotations

from expunge.line.attempt import Attempt
from expunge.line.candidate import candidate_of
from expunge.line.context import Line
from expunge.lineage import Registered
from expunge.requests import Fence


def register(line: Line, fence: Fence, attempt: Attempt) -> Registered:
    """The version that the attempt's candidate is registered as; made once."""
    key = f"register:{attempt.batch_id}:{attempt.part}"
    detail = {"model": attempt.model, "base": attempt.base, "rung": attempt.rung}
    line.ledger.intend(fence, key, "register", detail, batch_id=attempt.batch_id)
    registered = line.registry.find(key)
    if registered is None:
        line.progress("register", f"{attempt.model}: weights, metrics, plots to MLflow")
        registered = line.registry.register(candidate_of(line, attempt, key))
    line.ledger.complete(fence, key, {"version": registered.version, "run": registered.run_id})
    return registered
