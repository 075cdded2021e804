"""What became of a request, where a model comes from, what a dataset version led to.

Read from the ledger, the lineage of record, and from nothing else, so that it can be told when
MLflow or the remote is away. The same links both ways: a request leads to the model versions that
forgot it, and a model version to the requests that it absorbed.
"""

from __future__ import annotations

from expunge.errors import TerminalError
from expunge.lineage.branches import request_node
from expunge.lineage.explore import Explorer, Record, Step, View, key_of
from expunge.lineage.graph import Graph, Node, to_tree
from expunge.lineage.tree import Tree, facts
from expunge.requests import DatasetVersion, Ledger, Links, Page

USUAL = View()


class NothingToTraceError(TerminalError):
    """The ledger knows nothing under that name or version."""


def trace_request(ledger: Ledger, request_id: str) -> Tree:
    """`request_graph` as a tree."""
    return to_tree(request_graph(ledger, request_id))


def trace_model(ledger: Ledger, model: str, version: str | None = None) -> Tree:
    """`model_graph` as a tree."""
    return to_tree(model_graph(ledger, model, version))


def trace_dataset(ledger: Ledger, dataset: str, version: str | None = None) -> Tree:
    """`dataset_graph` as a tree."""
    return to_tree(dataset_graph(ledger, dataset, version))


def request_graph(ledger: Ledger, request_id: str, view: View = USUAL) -> Graph:
    """A request, its batches, and what each made; unknown id: TerminalError."""
    with ledger.links() as links:
        request = links.request(request_id)
        found = Explorer(links, view)
        found.begin(request_node(links, request))
        found.follow({key_of(request): request}, view.depth)
        return found.graph()


def model_graph(
    ledger: Ledger, model: str, version: str | None = None, view: View = USUAL
) -> Graph:
    """The newest versions of a model; or one, with its parents, its data, and whom it forgot."""
    with ledger.links() as links:
        if version is not None:
            return _from_model_version(links, model, version, view)
        newest = links.model_versions(model, view.most)
        if not newest.items:
            raise _no_model(model)
        champion = links.champion(model)
        told = facts(
            versions=newest.total,
            champion=champion.version if champion else None,
            rollback_floor=links.floor(model),
            debts=", ".join(links.debts(model)) or None,
        )
        return _from_many(links, Node("model", model, told), "model version", newest, view)


def run_graph(ledger: Ledger, run_id: str, view: View = USUAL) -> Graph:
    """The model version that an MLflow run made, as `model_graph` tells of it."""
    with ledger.links() as links:
        made = links.made_in(run_id)
        if made is None:
            raise NothingToTraceError(
                "No model version in the ledger was made by that MLflow run.",
                fix="expunge trace model NAME shows the run of every version",
            )
        return _from_one(links, made, view)


def dataset_graph(
    ledger: Ledger, dataset: str, version: str | None = None, view: View = USUAL
) -> Graph:
    """The newest versions of a dataset; or one: its ordinal, or the start of its md5 or commit."""
    with ledger.links() as links:
        newest = links.versions(dataset, view.most)
        if not newest.items:
            raise NothingToTraceError(
                f"The ledger has no version of a dataset {dataset!r}.",
                fix=f"expunge status lists the datasets; bring rows in: expunge ingest {dataset}",
            )
        last = newest.items[0]
        if version is not None:
            return _from_one(links, _dataset_version(links, last, version), view)
        told = facts(versions=last.ordinal, rows=last.rows)
        return _from_many(links, Node("dataset", dataset, told), "dataset version", newest, view)


def _from_model_version(links: Links, model: str, version: str, view: View) -> Graph:
    found = links.model_version(model, version)
    if found is not None:
        return _from_one(links, found, view)
    known = links.model_versions(model, view.most)
    if not known.items:
        raise _no_model(model)
    names = [each.version for each in reversed(known.items)]
    told = f"{'…, ' if known.left else ''}{', '.join(names)}"
    raise NothingToTraceError(
        f"Model {model!r} has no version {version!r}; it has {told}.",
        fix=f"expunge trace model {model}",
    )


def _from_one(links: Links, record: Record, view: View) -> Graph:
    """A trace from one record."""
    found = Explorer(links, view)
    found.add(record)
    found.follow({key_of(record): record}, view.depth)
    return found.graph()


def _from_many(links: Links, root: Node, kind: str, newest: Page[Record], view: View) -> Graph:
    """A trace from the versions of something, oldest first; the first link is that to them."""
    found = Explorer(links, view)
    found.begin(root)
    oldest_first = Page(newest.items[::-1], newest.total)
    found.follow(found.link(root.key, Step("has", kind, oldest_first)), view.depth - 1)
    return found.graph()


def _no_model(model: str) -> NothingToTraceError:
    return NothingToTraceError(
        f"The ledger has no version of a model {model!r}.",
        fix=f"expunge status lists the models; train one: expunge train {model}",
    )


def _dataset_version(links: Links, last: DatasetVersion, wanted: str) -> DatasetVersion:
    """By its ordinal, or by six characters or more of its md5 or commit."""
    matching: tuple[DatasetVersion, ...] = ()
    if wanted.isdigit() and len(wanted) < 6:
        one = links.version(last.dataset, int(wanted))
        matching = () if one is None else (one,)
    elif len(wanted) >= 6:
        matching = links.matching(last.dataset, wanted)
    if len(matching) != 1:
        raise NothingToTraceError(
            f"{'Several' if matching else 'No'} versions of dataset {last.dataset!r} match "
            f"{wanted!r}; it has 1 to {last.ordinal}.",
            fix=f"expunge trace dataset {last.dataset}",
        )
    return matching[0]
