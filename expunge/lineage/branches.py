"""Records as nodes of a trace: what is told of a request, a batch, a version, what is derived."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from expunge.lineage.graph import Node
from expunge.lineage.tree import Tree, facts
from expunge.requests import (
    Approval,
    Batch,
    DatasetVersion,
    Derived,
    Links,
    ModelVersion,
    Request,
    Target,
)

_CRITERIA = ("estimate", "reference", "margin", "outcome")
_SHARDS = 20


def request_node(links: Links, request: Request) -> Node:
    """A request, with its targets, what each model owes or did, and its history."""
    told = facts(
        state=request.state,
        reason=request.reason,
        source=request.source,
        external_id=request.external_id,
        subject_ref=f"{request.subject_ref[:12]}…",
        key_id=request.key_id,
        regulation=request.regulation,
        received_at=request.received_at,
        due_at=request.due_at,
    )
    targets = (_target(target) for target in request.targets)
    return Node("request", request.id, told, (*targets, _history(links, request.id)))


def batch_node(links: Links, batch: Batch) -> Node:
    """A batch: versions before and after, shards, each model's rungs, and people's answers."""
    after = links.version_of(batch.id)
    staged = links.staged(batch.id)
    touched = staged.get("touched", ())
    told = facts(
        state=batch.state,
        dataset=batch.dataset,
        before=f"{batch.dataset}@{after.ordinal - 1}" if after else None,
        after=f"{batch.dataset}@{after.ordinal}" if after else None,
        rows=staged.get("rows_erased"),
        shards=_numbers(touched) if touched else None,
        opened_at=batch.created_at,
        reason=batch.reason,
    )
    return Node("batch", batch.id, told, tuple(_models(links, batch)))


def dataset_node(version: DatasetVersion) -> Node:
    """A version of a dataset."""
    told = facts(
        made_by=version.kind,
        rows=version.rows,
        shards=version.shards,
        md5=version.md5,
        commit=version.commit,
        created_at=version.created_at,
    )
    return Node("dataset version", f"{version.dataset}@{version.ordinal}", told)


def model_node(links: Links, version: ModelVersion) -> Node:
    """A version of a model, and its promotion."""
    champion = links.champion(version.model)
    name = f"{version.model} {version.version}"
    told = facts(
        kind=version.kind,
        strategy=version.strategy,
        parent=version.parent,
        champion=True if champion and champion.version == version.version else None,
        may_serve=links.may_serve(version),
        trained_on=f"{version.dataset}@{version.dataset_ordinal}",
        clean_as_of=f"{version.dataset}@{version.clean_as_of}",
        ingest_seen=version.ingest_seen,
        edits_since_exact=version.edits,
        mlflow_run=version.run_id,
        created_at=version.created_at,
    )
    promoted = (Tree("promotion", name, facts(promoted_at=version.promoted_at)),)
    return Node("model version", name, told, promoted if version.promoted_at else ())


def derived_node(made: Derived) -> Node:
    """A file or helper model made from people's rows."""
    told = facts(
        made=made.kind,
        state=made.state,
        roles=made.roles,
        digest=made.digest,
        created_at=made.created_at,
    )
    return Node("derived", made.key, told)


def _target(target: Target) -> Tree:
    told = facts(
        state=target.state,
        batch=target.batch_id,
        rows_erased=target.rows,
        reason=target.reason,
        cites=target.cites,
    )
    owed = tuple(
        Tree("settlement", each.model, facts(state=each.state, version=each.version))
        for each in target.settlements
    )
    return Tree("target", target.dataset, told, owed)


def _history(links: Links, request_id: str) -> Tree:
    """The request's events, in order."""
    lines = tuple(
        Tree(
            "event",
            event.kind,
            facts(at=event.at, dataset=event.dataset, batch=event.batch_id, model=event.model),
        )
        for event in links.history(request_id)
    )
    return Tree("history", "", facts(events=len(lines)), lines)


def _models(links: Links, batch: Batch) -> Iterator[Tree]:
    """One branch for each model that the batch touched: rungs with verdicts, and the decision."""
    rungs: dict[str, list[Tree]] = {}
    for part, verdict in links.judged(batch.id):
        rungs.setdefault(part.split("/")[0], []).append(_rung(part, verdict))
    for asked in links.approvals(batch.id):
        rungs.setdefault(asked.model, []).append(_approval(asked))
    decisions = links.decisions(batch.id)
    for model in sorted({*rungs, *decisions}):
        decision, version = decisions.get(model, (None, None))
        told = facts(
            decision=decision, champion_at_claim=batch.champions.get(model), version=version
        )
        yield Tree("decision", model, told, tuple(rungs.get(model, ())))


def _approval(asked: Approval) -> Tree:
    """What a person was asked about one candidate, and answered."""
    told = facts(
        state=asked.state,
        by=asked.decided_by,
        reason=asked.reason,
        asked_at=asked.asked_at,
        expires_at=asked.expires_at if asked.state == "waiting" else None,
        decided_at=asked.decided_at,
        digest=asked.digest,
    )
    return Tree("approval", f"{asked.model} {asked.version}", told)


def _rung(part: str, verdict: Mapping[str, Any]) -> Tree:
    """One attempt at the gate: its verdict, and each criterion with its numbers."""
    criteria = tuple(
        Tree("criterion", str(each.get("name", "")), facts(**{n: each.get(n) for n in _CRITERIA}))
        for each in verdict.get("criteria", ())
    )
    told = facts(outcome=verdict.get("outcome"), why=verdict.get("why") if not criteria else None)
    place = part.rpartition("/")[2]
    number = f"{int(place) + 1}: " if place.isdigit() else ""
    return Tree("rung", f"{number}{verdict.get('strategy', part)}", told, criteria)


def _numbers(shards: list[int]) -> str:
    """`4, 9, 60`, or the first 20 of many and how many there are."""
    shown = ", ".join(str(each) for each in shards[:_SHARDS])
    return f"{shown}, … ({len(shards):,})" if len(shards) > _SHARDS else shown
