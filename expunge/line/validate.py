"""Validate: judge the staged shards by Great Expectations, on aggregate facts.

A batch that fails here leaves dataset and models as they were; its targets are pending again.
"""

from __future__ import annotations

from expunge.dataset import Validation, collect_facts
from expunge.dataset import validate as judge_facts
from expunge.errors import TerminalError
from expunge.line.context import Line
from expunge.line.recover import sweep
from expunge.line.stage import staged_erasure, subjects_of
from expunge.requests import Fence


class ValidationFailedError(TerminalError):
    """The staged dataset is not the old one less the forgotten rows."""


def validate(line: Line, batch_id: str, fence: Fence) -> None:
    """Check the staged files against the current ones; fail the batch where they disagree."""
    with line.station(batch_id, "validate", fence) as outcome:
        if outcome is None:
            return
        spec = line.workspace.dataset(fence.dataset)
        line.progress("validate", "expectations on the staged shards")
        staged, key = staged_erasure(line, batch_id), line.workspace.keys.placement(spec.name)
        facts = collect_facts(spec, line.store(spec), staged, key, subjects_of(line, batch_id))
        confirmed = any(claim.confirmed for claim in line.ledger.claims(batch_id))
        validation = judge_facts(spec, facts, confirmed=confirmed)
        if not validation.success:
            _fail(line, batch_id, fence, validation)
        outcome |= {**validation.payload(), "state": "validated"}
        line.progress("validate", f"{len(validation.expectations)} expectations met")


def _fail(line: Line, batch_id: str, fence: Fence, validation: Validation) -> None:
    broken = validation.failed
    named = ", ".join(f"{item.column} ({item.name}, found {item.observed})" for item in broken)
    line.ledger.fail(fence, batch_id, f"validation failed: {named}")
    sweep(line, fence.dataset)
    raise ValidationFailedError(
        f"Batch {batch_id}: {len(broken)} expectation(s) failed: {named}.",
        left="Dataset and models are as they were; the batch's targets are pending again.",
        fix=f"look at `expunge trace dataset {fence.dataset}`, mend the data, `expunge run` again",
    )
