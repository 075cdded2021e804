"""Plan: which rungs of the ladder a batch tries on a model, in which order.

By the spec all, in its own order. Only where the spec has a budget, or an order by audit, is
there something to decide: then the plan is an outcome of the batch, so that an audit that ends
meanwhile does not change what a batch under way does, and the report can tell why.
"""

from __future__ import annotations

from expunge.line.attempt import Attempt, base_of
from expunge.line.budget import over_budget, spent_by
from expunge.line.context import Line
from expunge.line.qualification import audited_order
from expunge.requests import Fence
from expunge.specs import ModelSpec


def plan(line: Line, fence: Fence, first: Attempt) -> tuple[int, ...]:
    """Rungs (from 0) to try, in order; the last one is exact retrain."""
    spec = first.spec(line)
    if spec.ladder_order == "spec" and not spec.budget.limited:
        return tuple(range(len(spec.ladder)))
    part = f"{first.model}/{first.base}"
    with line.station(first.batch_id, "plan", fence, part) as outcome:
        if outcome is not None:
            rungs, why = _planned(line, spec, first.base)
            outcome |= {"rungs": list(rungs), "why": why}
            if why:
                line.progress("plan", f"{spec.name}: {why}")
    return tuple(line.found(first.batch_id, "plan", part)["rungs"])


def _planned(line: Line, spec: ModelSpec, base: str) -> tuple[tuple[int, ...], str]:
    last = len(spec.ladder) - 1
    if reached := over_budget(spec.budget, spent_by(base_of(line, spec.name, base))):
        why = f"The edit budget since the last exact model is spent ({reached}): exact retrain."
        return (last,), why
    if spec.ladder_order == "spec":
        return tuple(range(last + 1)), ""
    rungs = audited_order(line, spec)
    names = ", ".join(spec.ladder[rung].strategy for rung in rungs)
    return rungs, f"Tried in the order of the audit records: {names}."
