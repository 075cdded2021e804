"""Register: log a judged candidate to MLflow, promoted or not; one effect.

A refused candidate is registered too, tagged with its verdict: what was tried and why it was
refused belongs to the evidence. The ledger does not know it, so no alias of ours moves to it.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from expunge.line.attempt import Attempt
from expunge.line.candidate import candidate_of
from expunge.line.context import Line
from expunge.line.evaluate import GRID
from expunge.lineage import Registered
from expunge.requests import Derived, Fence


def register(line: Line, fence: Fence, attempt: Attempt) -> Registered:
    """The version that the attempt's candidate is registered as; made once."""
    key = f"register:{attempt.batch_id}:{attempt.part}"
    detail = {"model": attempt.model, "base": attempt.base, "rung": attempt.rung}
    line.ledger.intend(fence, key, "register", detail, batch_id=attempt.batch_id)
    registered = line.registry.find(key)
    if registered is None:
        line.progress("register", f"{attempt.model}: weights, metrics, plots to MLflow")
        registered = line.registry.register(candidate_of(line, attempt, key))
    _record_pictures(line, fence, attempt, registered)
    line.ledger.complete(fence, key, {"version": registered.version, "run": registered.run_id})
    return registered


def _record_pictures(line: Line, fence: Fence, attempt: Attempt, registered: Registered) -> None:
    """The grid shows rows of people in role E: when one of them is erased it has to go."""
    grid = attempt.folder(line) / GRID
    key = f"grid:{attempt.model}:{registered.version}"
    if not grid.exists() or line.ledger.derived(key) is not None:
        return
    version = line.current_version(attempt.spec(line).dataset)
    made = Derived(
        key=key,
        kind="grid",
        dataset=version.dataset,
        dataset_ordinal=version.ordinal,
        roles="E",
        path=f"mlflow/{registered.run_id}/plots/perturbed.png",
        digest=hashlib.sha256(grid.read_bytes()).hexdigest(),
        state="valid",
        created_at=datetime.now(UTC),
    )
    line.ledger.record_derived(fence, made)
