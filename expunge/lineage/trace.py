"""What became of a request, where a model comes from, what a dataset version led to.

Read from the ledger, the lineage of record, and from nothing else, so that it can be told when
MLflow or the remote is away. The same facts both ways: a request leads to the model versions that
forgot it, and a model version to the requests that it absorbed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from expunge.errors import TerminalError
from expunge.lineage.branches import batch_tree, dataset_tree, version_facts
from expunge.lineage.tree import Tree, facts
from expunge.requests import DatasetVersion, Ledger, ModelVersion, Target

_IN_BATCH = ("claimed", "erased_model_pending", "completed")


class NothingToTraceError(TerminalError):
    """The ledger knows nothing under that name or version."""


def trace_request(ledger: Ledger, request_id: str) -> Tree:
    """A request, its targets, their batches, and what each model did; unknown id: TerminalError."""
    request = ledger.request(request_id)
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
    targets = tuple(_target(ledger, target) for target in request.targets)
    return Tree("request", request.id, told, (*targets, _history(ledger, request.id)))


def trace_model(ledger: Ledger, model: str, version: str | None = None) -> Tree:
    """All versions of a model; or one, with its parents, its data, and whom it forgot."""
    versions = {each.version: each for each in ledger.model_versions(model)}
    if not versions:
        raise NothingToTraceError(
            f"The ledger has no version of a model {model!r}.",
            fix=f"expunge status lists the models; train one: expunge train {model}",
        )
    champion = ledger.champion(model)
    if version is None:
        told = facts(
            champion=champion.version if champion else None,
            rollback_floor=ledger.floor(model),
            debts=", ".join(ledger.debts(model)) or None,
        )
        every = tuple(_model_version(ledger, each) for each in versions.values())
        return Tree("model", model, told, every)
    if version not in versions:
        raise NothingToTraceError(
            f"Model {model!r} has no version {version!r}; it has {', '.join(versions)}.",
            fix=f"expunge trace model {model}",
        )
    return _ancestry(ledger, versions, version)


def trace_dataset(ledger: Ledger, dataset: str, version: str | None = None) -> Tree:
    """All versions of a dataset; or one (ordinal, or the start of its md5 or commit) in full."""
    versions = ledger.versions(dataset)
    if not versions:
        raise NothingToTraceError(
            f"The ledger has no version of a dataset {dataset!r}.",
            fix=f"expunge status lists the datasets; bring rows in: expunge ingest {dataset}",
        )
    if version is None:
        told = facts(versions=len(versions), rows=versions[-1].rows)
        every = tuple(_dataset_version(ledger, each) for each in versions)
        return Tree("dataset", dataset, told, every)
    matching = [each for each in versions if _is_version(each, version)]
    if len(matching) != 1:
        raise NothingToTraceError(
            f"{len(matching)} versions of dataset {dataset!r} match {version!r}; "
            f"it has 1 to {versions[-1].ordinal}.",
            fix=f"expunge trace dataset {dataset}",
        )
    return _dataset_version(ledger, matching[0], full=True)


def _target(ledger: Ledger, target: Target) -> Tree:
    told = facts(
        state=target.state, rows_erased=target.rows, reason=target.reason, cites=target.cites
    )
    owed = tuple(
        Tree(
            "settlement",
            each.model,
            facts(state=each.state, version=each.version),
        )
        for each in target.settlements
    )
    below = list(owed)
    if target.batch_id is not None:
        batch = ledger.batch(target.batch_id)
        bare = Tree("batch", batch.id, facts(state=batch.state))
        below.append(batch_tree(ledger, batch) if target.state in _IN_BATCH else bare)
    return Tree("target", target.dataset, told, tuple(below))


def _history(ledger: Ledger, request_id: str) -> Tree:
    """The request's events, in order."""
    lines = tuple(
        Tree(
            "event",
            event.kind,
            facts(at=event.at, dataset=event.dataset, batch=event.batch_id, model=event.model),
        )
        for event in ledger.events(request_id=request_id)
    )
    return Tree("history", "", facts(events=len(lines)), lines)


def _model_version(ledger: Ledger, version: ModelVersion, *, full: bool = False) -> Tree:
    """A model version, the data it was made from, and the batch that made it."""
    below: list[Tree] = [
        dataset_tree(each)
        for each in ledger.versions(version.dataset)
        if each.ordinal == version.dataset_ordinal
    ]
    if version.batch_id is not None:
        below.append(batch_tree(ledger, ledger.batch(version.batch_id), requests=full))
    told = version_facts(ledger, version)
    return Tree("model version", f"{version.model} {version.version}", told, tuple(below))


def _ancestry(ledger: Ledger, versions: Mapping[str, ModelVersion], version: str) -> Tree:
    """A version in full, its parents nested up to the exact model, and what was made from it."""
    here = versions[version]
    tree = _model_version(ledger, here, full=True)
    below = list(tree.children)
    if here.parent is not None:
        if here.parent in versions:
            below.append(_ancestry(ledger, versions, here.parent))
        else:
            below.append(Tree("model version", f"{here.model} {here.parent}", facts(known=False)))
    made = [each for each in versions.values() if each.parent == version]
    if made:
        names = tuple(
            Tree("model version", f"{each.model} {each.version}", facts(kind=each.kind))
            for each in made
        )
        below.append(Tree("derived", "models", facts(count=len(made)), names))
    return Tree(tree.kind, tree.title, tree.facts, tuple(below))


def _dataset_version(ledger: Ledger, version: DatasetVersion, *, full: bool = False) -> Tree:
    """A dataset version: what made it, which models were trained on it, what is derived."""
    below: list[Tree] = []
    if version.batch_id is not None:
        batch = ledger.batch(version.batch_id)
        below.append(
            batch_tree(ledger, batch, requests=True)
            if full
            else Tree("batch", batch.id, facts(state=batch.state))
        )
    below += [
        Tree("model version", f"{made.model} {made.version}", version_facts(ledger, made))
        for governed in ledger.status().models
        if governed.dataset == version.dataset
        for made in ledger.model_versions(governed.model)
        if made.dataset_ordinal == version.ordinal
    ]
    below += _derived(ledger, version, full=full)
    bare = dataset_tree(version)
    return Tree(bare.kind, bare.title, bare.facts, tuple(below))


def _derived(ledger: Ledger, version: DatasetVersion, *, full: bool) -> Iterator[Tree]:
    """Files and helper models made from the version's rows: by kind, or one by one."""
    made = [e for e in ledger.derived_of(version.dataset) if e.dataset_ordinal == version.ordinal]
    if full:
        for each in made:
            told = facts(state=each.state, roles=each.roles, digest=each.digest, key=each.key)
            yield Tree("derived", each.kind, told)
        return
    for (kind, state), count in sorted(Counter((e.kind, e.state) for e in made).items()):
        yield Tree("derived", kind, facts(state=state, count=count))


def _is_version(version: DatasetVersion, wanted: str) -> bool:
    """Whether `wanted` is its ordinal, or at least six characters of its md5 or commit."""
    if wanted.isdigit() and len(wanted) < 6:
        return version.ordinal == int(wanted)
    digests = (version.md5, version.commit)
    return len(wanted) >= 6 and any(digest.startswith(wanted) for digest in digests)
