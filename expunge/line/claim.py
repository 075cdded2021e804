"""Claim: gather the pending targets of a dataset into a batch and look up who is there.

Targets of people who are not in the dataset leave the batch as `no_match` or
`already_erased`. A target that would erase a whole class, or everything, is blocked until an
operator confirms it; the others go on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from expunge.dataset import Holding, Summary, look_up, summary
from expunge.line.context import Line
from expunge.line.recover import recover
from expunge.requests import Claim, Fence
from expunge.specs import DatasetSpec, ModelSpec


def claim(line: Line, dataset: str, fence: Fence) -> str | None:
    """The open batch of `dataset`, or a new one; None when nothing is to be done now."""
    recover(line, dataset, fence)
    limit = line.workspace.settings.batches.max_batch
    batch = line.ledger.claim(fence, champions=champions(line, dataset), limit=limit)
    if batch is None:
        return None
    line.progress("claim", f"batch {batch.id}")
    look_into(line, batch.id, fence)
    # Read back, since a process that died before it postponed leaves a claim that decided to.
    if line.found(batch.id, "claim")["waiting"]:
        line.ledger.postpone(fence, batch.id, "waiting for more rows to measure forgetting on")
        line.workspace.keys.destroy(batch.id)
        return None
    return batch.id


def champions(line: Line, dataset: str) -> dict[str, str | None]:
    """The registry's champion of each model of a dataset; None where it has none."""
    models = line.workspace.models(dataset)
    return {model.name: line.registry.champion(model.name) for model in models}


def look_into(line: Line, batch_id: str, fence: Fence, *, may_wait: bool = True) -> None:
    """Look up who of the batch is there, and dispose of its claims, unless they wait for more."""
    with line.station(batch_id, "claim", fence) as outcome:
        if outcome is None:
            return
        spec, models = line.workspace.dataset(fence.dataset), line.workspace.models(fence.dataset)
        claims = line.ledger.claims(batch_id)
        holdings, before = _found(line, spec, claims)
        absent = [c.target_id for c in claims if c.subject_id not in holdings]
        by_class = spec.task == "classification"
        blocked = _blocked(claims, holdings, before, by_class=by_class) if before else {}
        staying = [c for c in claims if c.subject_id in holdings and c.target_id not in blocked]
        rows = {c.target_id: holdings[c.subject_id].rows for c in staying}
        waiting = may_wait and _should_wait(line, models, staying, holdings)
        if not waiting:
            line.ledger.dispose(fence, batch_id, absent=absent, blocked=blocked, rows=rows)
        outcome |= {
            "targets": len(claims),
            "absent": len(absent),
            "blocked": len(blocked),
            "waiting": waiting,
            "trained": {
                c.target_id: dict(holdings[c.subject_id].trained_by_ingest) for c in staying
            },
        }
        if not staying:
            outcome["state"] = "finished"


def _found(
    line: Line, spec: DatasetSpec, claims: Iterable[Claim]
) -> tuple[Mapping[str, Holding], Summary | None]:
    """Who is there with what, and what there is; nobody and None where nothing was ingested."""
    if line.ledger.current_version(spec.name) is None:
        return {}, None
    store, key = line.store(spec), line.workspace.keys.placement(spec.name)
    return look_up(store, key, [claim.subject_id for claim in claims]), summary(store)


def _blocked(
    claims: Iterable[Claim],
    holdings: Mapping[str, Holding],
    before: Summary,
    *,
    by_class: bool = True,
) -> dict[int, str]:
    """Targets that, after those due earlier, would leave a class or the dataset empty.

    `by_class` is False where labels are real numbers: no bin of them has to keep a row.
    """
    left, rows_left = Counter(before.labels_by_role["T"]), before.rows
    blocked: dict[int, str] = {}
    counted: set[str] = set()
    for claim in claims:
        holding = holdings.get(claim.subject_id)
        if holding is None or claim.subject_id in counted:
            continue
        after = left - Counter(holding.by_label_trained)
        empties = by_class * sum(after[label] <= 0 for label in holding.by_label_trained)
        if claim.confirmed or not (empties or rows_left <= holding.rows):
            left, rows_left = after, rows_left - holding.rows
            counted.add(claim.subject_id)
        elif rows_left <= holding.rows:
            blocked[claim.target_id] = "would erase every row of the dataset"
        else:
            blocked[claim.target_id] = f"would erase every training row of {empties} class(es)"
    return blocked


def _should_wait(
    line: Line,
    models: Iterable[ModelSpec],
    staying: list[Claim],
    holdings: Mapping[str, Holding],
) -> bool:
    """Whether a model's policy collects targets until there are rows enough to judge."""
    policies = [model.gate for model in models if model.gate.inconclusive == "wait"]
    if not policies or not staying:
        return False
    now = datetime.now(UTC)
    people = {claim.subject_id for claim in staying}
    rows = sum(sum(holdings[person].trained_by_ingest.values()) for person in people)
    requests = [line.ledger.request(claim.request_id) for claim in staying]
    oldest = min(request.received_at for request in requests)
    nearest = min(request.due_at for request in requests)
    urgent = line.workspace.settings.schedule.urgent_days
    return any(
        rows < gate.min_rows
        and now - oldest < timedelta(days=gate.max_wait_days)
        and nearest - now > timedelta(days=max(gate.near_deadline_days, urgent))
        for gate in policies
    )
