"""From one record of the ledger to all that it came from and led to, breadth first.

Up leads to causes, down to consequences. Both together are what a record came from and what came
of it, and not the other consequences of its causes: a request's trace does not tell of the other
people in its batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from expunge.lineage.branches import batch_node, dataset_node, derived_node, model_node
from expunge.lineage.graph import Edge, Graph, Key, More, Node
from expunge.lineage.tree import facts
from expunge.requests import Batch, DatasetVersion, Derived, Links, ModelVersion, Page, Request
from expunge.requests.links import Absorbed
from expunge.requests.pages import COUNTED

Direction = Literal["up", "down", "both"]
Record = Request | Absorbed | Batch | DatasetVersion | ModelVersion | Derived
_MOST_NODES = 1_000
_IN_BATCH = ("claimed", "erased_model_pending", "completed")


@dataclass(frozen=True)
class View:
    """How far to look: links from the start, which way, and how many records of one link."""

    depth: int = 2
    direction: Direction = "both"
    most: int = 10


@dataclass(frozen=True)
class Step:
    """Records that one kind of link leads to."""

    label: str
    kind: str
    page: Page[Record]


@dataclass
class Explorer:
    """A trace in the making: what was found, and what is still to be followed."""

    links: Links
    view: View
    nodes: dict[Key, Node] = field(default_factory=dict)
    edges: dict[Edge, None] = field(default_factory=dict)
    more: dict[More, None] = field(default_factory=dict)

    def begin(self, start: Node) -> None:
        """Where the trace begins."""
        self.nodes[start.key] = start

    def add(self, record: Record) -> None:
        """Begin at a record."""
        self.begin(self._node(record))

    def link(self, here: Key, step: Step, *, upward: bool = False) -> dict[Key, Record]:
        """Add the records that a link leads to; those records by key."""
        found: dict[Key, Record] = {}
        for record in step.page.items:
            key = key_of(record)
            if key not in self.nodes:
                if len(self.nodes) >= _MOST_NODES:
                    self._cut(here, step, "some", upward)
                    return found
                self.nodes[key] = self._node(record)
            source, target = (key, here) if upward else (here, key)
            self.edges.setdefault(Edge(source, target, step.label, upward))
            found[key] = record
        if step.page.left:
            many = "+" if step.page.total >= COUNTED else ""
            self._cut(here, step, f"{step.page.left:,}{many}", upward)
        return found

    def follow(self, seeds: Mapping[Key, Record], depth: int) -> None:
        """Go on from records, up and down as the view says, by so many links."""
        if self.view.direction != "down":
            self._follow(seeds, depth, causes, upward=True)
        if self.view.direction != "up":
            self._follow(seeds, depth, consequences, upward=False)

    def graph(self) -> Graph:
        """What was found."""
        return Graph(self.nodes, tuple(self.edges), tuple(self.more))

    def _follow(
        self, seeds: Mapping[Key, Record], depth: int, look: _Look, *, upward: bool
    ) -> None:
        seen, frontier = set(seeds), seeds
        for _ in range(depth):
            beyond: dict[Key, Record] = {}
            for key, record in frontier.items():
                for step in look(self.links, record, self.view.most):
                    beyond |= self.link(key, step, upward=upward)
            frontier = {key: record for key, record in beyond.items() if key not in seen}
            seen |= set(frontier)

    def _cut(self, here: Key, step: Step, count: str, upward: bool) -> None:
        link = Edge(here, here, step.label, upward).link
        self.more.setdefault(More(here, step.kind, link, count))

    def _node(self, record: Record) -> Node:
        if isinstance(record, ModelVersion):
            return model_node(self.links, record)
        if isinstance(record, DatasetVersion):
            return dataset_node(record)
        if isinstance(record, Batch):
            return batch_node(self.links, record)
        if isinstance(record, Derived):
            return derived_node(record)
        rows = record.rows if isinstance(record, Absorbed) else None
        return Node(*key_of(record), facts(state=record.state, rows=rows))


_Look = Callable[[Links, Record, int], Iterator[Step]]


def key_of(record: Record) -> Key:
    """The key of a record's node."""
    if isinstance(record, ModelVersion):
        return "model version", f"{record.model} {record.version}"
    if isinstance(record, DatasetVersion):
        return "dataset version", f"{record.dataset}@{record.ordinal}"
    if isinstance(record, Batch):
        return "batch", record.id
    if isinstance(record, Derived):
        return "derived", record.key
    return "request", record.request_id if isinstance(record, Absorbed) else record.id


def consequences(links: Links, record: Record, most: int) -> Iterator[Step]:
    """What came of a record."""
    if isinstance(record, Request):
        inside = (each.batch_id for each in record.targets if each.state in _IN_BATCH)
        for batch_id in dict.fromkeys(each for each in inside if each is not None):
            yield _one("in", "batch", links.batch(batch_id))
    elif isinstance(record, Batch):
        yield _one("made", "dataset version", links.version_of(record.id))
        yield Step("made", "model version", links.made_by(record.id, most))
    elif isinstance(record, DatasetVersion):
        yield from _after(links, record)
        yield Step("trained", "model version", _trained_on(links, record, most))
        yield Step("derived", "derived", links.derived_from(record.dataset, record.ordinal, most))
    elif isinstance(record, ModelVersion):
        made = links.made_from(record.model, record.version, most)
        yield Step("became", "model version", made)


def causes(links: Links, record: Record, most: int) -> Iterator[Step]:
    """What a record came of."""
    if isinstance(record, Batch):
        after = links.version_of(record.id)
        before = links.version(after.dataset, after.ordinal - 1) if after else None
        yield _one("rewritten by", "dataset version", before)
        yield Step("in", "request", links.absorbed(record.id, most))
    elif isinstance(record, DatasetVersion):
        if record.batch_id is not None:
            yield _one("made", "batch", links.batch(record.batch_id))
        else:
            before = links.version(record.dataset, record.ordinal - 1)
            yield _one("grew into", "dataset version", before)
    elif isinstance(record, ModelVersion):
        if record.parent is not None:
            parent = links.model_version(record.model, record.parent)
            yield _one("became", "model version", parent)
        trained_on = links.version(record.dataset, record.dataset_ordinal)
        yield _one("trained", "dataset version", trained_on)
        if record.batch_id is not None:
            yield _one("made", "batch", links.batch(record.batch_id))
    elif isinstance(record, Derived):
        made_from = links.version(record.dataset, record.dataset_ordinal)
        yield _one("derived", "dataset version", made_from)


def _after(links: Links, version: DatasetVersion) -> Iterator[Step]:
    """The batch that rewrote a version, or the ingest that added to it."""
    following = links.version(version.dataset, version.ordinal + 1)
    if following is not None and following.batch_id is not None:
        yield _one("rewritten by", "batch", links.batch(following.batch_id))
    else:
        yield _one("grew into", "dataset version", following)


def _trained_on(links: Links, version: DatasetVersion, most: int) -> Page[ModelVersion]:
    return links.trained_on(version.dataset, version.ordinal, most)


def _one(label: str, kind: str, record: Record | None) -> Step:
    items = () if record is None else (record,)
    return Step(label, kind, Page(items, len(items)))
