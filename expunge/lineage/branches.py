"""Parts that every trace is made of: a dataset version, a model version, a batch and its rungs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from expunge.lineage.tree import Fact, Tree, facts
from expunge.requests import Batch, DatasetVersion, Ledger, ModelVersion

_SHOWN = 20
_CRITERIA = ("estimate", "reference", "margin", "outcome")


def dataset_tree(version: DatasetVersion) -> Tree:
    """A dataset version by itself."""
    told = facts(
        made_by=version.kind,
        rows=version.rows,
        shards=version.shards,
        md5=version.md5,
        commit=version.commit,
        created_at=version.created_at,
    )
    return Tree("dataset version", f"{version.dataset}@{version.ordinal}", told)


def version_facts(ledger: Ledger, version: ModelVersion) -> tuple[Fact, ...]:
    """What the ledger knows of a model version."""
    champion = ledger.champion(version.model)
    return facts(
        kind=version.kind,
        strategy=version.strategy,
        parent=version.parent,
        champion=True if champion and champion.version == version.version else None,
        may_serve=ledger.may_serve(version.model, version.version),
        trained_on=f"{version.dataset}@{version.dataset_ordinal}",
        clean_as_of=f"{version.dataset}@{version.clean_as_of}",
        ingest_seen=version.ingest_seen,
        edits_since_exact=version.edits,
        mlflow_run=version.run_id,
        created_at=version.created_at,
        promoted_at=version.promoted_at,
    )


def batch_tree(ledger: Ledger, batch: Batch, *, requests: bool = False) -> Tree:
    """A batch: the dataset before and after, the rungs tried by each model, what was promoted."""
    told = facts(
        state=batch.state, dataset=batch.dataset, opened_at=batch.created_at, reason=batch.reason
    )
    parts = [*_change(ledger, batch), *_models(ledger, batch)]
    if requests:
        parts.append(_absorbed(ledger, batch.id))
    return Tree("batch", batch.id, told, tuple(parts))


def _change(ledger: Ledger, batch: Batch) -> Iterator[Tree]:
    """The dataset version before the batch and the one that it made."""
    versions = {each.ordinal: each for each in ledger.versions(batch.dataset)}
    for made in versions.values():
        if made.batch_id == batch.id:
            before = versions.get(made.ordinal - 1)
            if before is not None:
                yield _neighbour(before, "before")
            yield _neighbour(made, "after")


def _neighbour(version: DatasetVersion, place: str) -> Tree:
    told = facts(place=place, rows=version.rows, md5=version.md5, commit=version.commit)
    return Tree("dataset version", f"{version.dataset}@{version.ordinal}", told)


def _models(ledger: Ledger, batch: Batch) -> Iterator[Tree]:
    """One branch per model that the batch touched: rungs with verdicts, then what came of it."""
    rungs: dict[str, list[Tree]] = {}
    for part in ledger.parts(batch.id, "gate"):
        model, children = part.split("/")[0], rungs.setdefault(part.split("/")[0], [])
        children.append(_rung(part, ledger.outcome(batch.id, "gate", part) or {}))
        if ledger.outcome(batch.id, "promote", part) is not None:
            children += _promotions(ledger, batch.id, model)
    decisions = {
        event.model: event.payload.get("decision")
        for event in ledger.events(batch_id=batch.id)
        if event.kind == "decided" and event.model
    }
    for model in sorted({*rungs, *decisions}):
        told = facts(decision=decisions.get(model), champion_at_claim=batch.champions.get(model))
        yield Tree("model", model, told, tuple(rungs.get(model, ())))


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


def _promotions(ledger: Ledger, batch_id: str, model: str) -> list[Tree]:
    made = [each for each in ledger.model_versions(model) if each.batch_id == batch_id]
    return [
        Tree(
            "promotion",
            f"{model} {each.version}",
            facts(
                kind=each.kind,
                clean_as_of=f"{each.dataset}@{each.clean_as_of}",
                edits_since_exact=each.edits,
                promoted_at=each.promoted_at,
            ),
        )
        for each in made
    ]


def _absorbed(ledger: Ledger, batch_id: str) -> Tree:
    """The requests whose rows the batch erased; the first of them by id."""
    ids: list[str] = []
    count = 0
    for event in ledger.events(batch_id=batch_id):
        if event.kind == "erased" and event.request_id is not None:
            count += 1
            if len(ids) < _SHOWN:
                ids.append(event.request_id)
    shown = tuple(Tree("request", each) for each in ids)
    return Tree("requests", "erased", facts(count=count), shown)
