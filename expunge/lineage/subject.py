"""One person in one dataset: which versions of data and models held them, and which still do.

The id comes in and never goes out: of it the answer has a shortened reference only.

What the ledger knows of someone who was erased. The version before the erasure held them, and so
did every version back to the last ingest before it; an older one *may* have, since the ledger does
not say which ingest brought a person. The champion of the time held them where a settlement says
so; of its other versions those whose training rows reach as far, and that no erasure since has
cleaned, did too, and those that saw fewer ingests may have.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from expunge.dataset import Holding
from expunge.lineage.explore import Explorer, Record, Step, View
from expunge.lineage.graph import Graph, Key, Node
from expunge.lineage.tree import Tree, facts
from expunge.requests import (
    DatasetVersion,
    Erasure,
    Ledger,
    Links,
    ModelVersion,
    Page,
    Request,
    Settlement,
)

SUBJECT_VIEW = View(depth=1, direction="down")
_NEVER_SAW = "not_needed"


def subject_graph(
    ledger: Ledger,
    dataset: str,
    subject_id: str,
    held: Holding | None,
    view: View = SUBJECT_VIEW,
) -> Graph:
    """What is known of a person; `held`: their rows in the current version, None without any."""
    with ledger.links() as links:
        requests = links.requests_of(dataset, subject_id, view.most)
        asked = tuple(links.request(each) for each in requests.items)
        erasure = links.erasure(dataset, subject_id)
        steps = [Step("filed", "request", Page(asked, requests.total))]
        if erasure is not None:
            steps += _past(links, erasure, view.most)
        if held is not None:
            steps += _present(links, dataset, held, view.most)
        found = Explorer(links, view)
        found.begin(_person(links, dataset, asked=asked, erasure=erasure, held=held, steps=steps))
        _tell(found, steps, view)
        return found.graph()


def _tell(found: Explorer, steps: list[Step], view: View) -> None:
    (start,) = found.nodes
    seeds: dict[Key, Record] = {}
    for step in steps:
        seeds |= found.link(start, step)
    found.follow(seeds, view.depth - 1)


def _person(
    links: Links,
    dataset: str,
    *,
    asked: tuple[Request, ...],
    erasure: Erasure | None,
    held: Holding | None,
    steps: list[Step],
) -> Node:
    models = _holders(steps)
    serving = [each for each in models if links.champion(each.model) == each]
    told = facts(
        known=bool(asked or erasure or held),
        erased_in=f"{dataset}@{erasure.version.ordinal}" if erasure else None,
        erased_by=erasure.batch_id if erasure else None,
        rows_erased=erasure.rows if erasure else None,
        in_current_version=held is not None,
        still_in_champion=", ".join(_names(serving)) or "none",
    )
    reference = asked[0] if asked else None
    shown = facts(
        subject_ref=f"{reference.subject_ref[:12]}…" if reference else None,
        key_id=reference.key_id if reference else None,
    )
    return Node("subject", f"in {dataset}", (*told, *shown), tuple(_rows(held)))


def _names(versions: list[ModelVersion]) -> list[str]:
    return sorted(f"{each.model} {each.version}" for each in versions)


def _holders(steps: list[Step]) -> list[ModelVersion]:
    """The model versions that certainly held the person."""
    return [
        record
        for step in steps
        if step.label == "held by"
        for record in step.page.items
        if isinstance(record, ModelVersion)
    ]


def _rows(held: Holding | None) -> Iterator[Tree]:
    """The person's rows by role, and the one shard that holds them."""
    if held is not None:
        roles = {f"role_{role}": count for role, count in held.by_role.items()}
        yield Tree("rows", "now", facts(rows=held.rows, shard=held.shard, **roles))


def _past(links: Links, erasure: Erasure, most: int) -> Iterator[Step]:
    """From an erasure to the versions before it, and to the models that saw them."""
    without = erasure.version
    yield Step("erased in", "dataset version", Page((without,), 1))
    before = links.versions(without.dataset, most, before=without.ordinal)
    certain = [each for each in before.items if each.ingest == before.items[0].ingest]
    yield from _split(before, certain, "dataset version")
    request = links.request(erasure.request_id)
    batch = links.batch(erasure.batch_id)
    for target in request.targets:
        if target.dataset == without.dataset:
            for each in target.settlements:
                if each.state != _NEVER_SAW:
                    yield from _of_model(
                        links, each, batch.champions.get(each.model), without, most
                    )


def _of_model(
    links: Links, owed: Settlement, champion: str | None, without: DatasetVersion, most: int
) -> Iterator[Step]:
    """Versions of a model that held the person, and the one that forgot them."""
    then = None if champion is None else links.model_version(owed.model, champion)
    holding = links.model_versions(owed.model, most, clean_before=without.ordinal)
    reach = then.ingest_seen if then else without.ingest
    certain = [each for each in holding.items if each.ingest_seen >= reach]
    yield from _split(holding, certain, "model version")
    fresh = None if owed.version is None else links.model_version(owed.model, owed.version)
    if fresh is not None:
        yield Step("forgotten in", "model version", Page((fresh,), 1))


def _present(links: Links, dataset: str, held: Holding, most: int) -> Iterator[Step]:
    """From someone who is there to the current version and the models that saw them."""
    current = links.versions(dataset, 1).items
    yield Step("held by", "dataset version", Page(current, len(current)))
    if held.trained_by_ingest:
        first = min(held.trained_by_ingest)
        yield Step("held by", "model version", links.having_seen(dataset, first, most))


def _split(page: Page[Record], certain: Sequence[Record], kind: str) -> Iterator[Step]:
    """Those that held someone, then those that may have; what is not shown counts as the latter."""
    perhaps = tuple(each for each in page.items if each not in certain)
    left = page.left if perhaps else 0
    yield Step("held by", kind, Page(tuple(certain), page.total - len(perhaps) - left))
    yield Step("may be held by", kind, Page(perhaps, len(perhaps) + left))
