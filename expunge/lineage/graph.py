"""What a trace found: records as nodes, how one came of the other as edges.

Every rendering comes from a `Graph`: the tree for a terminal, JSON, Mermaid and Graphviz. An edge
always runs from what was first to what came of it, whichever way it was followed.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from expunge.lineage.tree import Fact, Tree

Key: TypeAlias = tuple[str, str]

_BACKWARDS = {
    "has": "of",
    "filed": "of",
    "held by": "held",
    "may be held by": "may have held",
    "erased in": "without",
    "forgotten in": "forgot",
    "in": "erased",
    "rewritten by": "rewrote",
    "grew into": "grew from",
    "made": "made by",
    "trained": "made from",
    "became": "parent",
    "derived": "derived from",
}


@dataclass(frozen=True)
class Node:
    """A record of the ledger; `details` are told in the tree, and are no records of their own."""

    kind: str
    name: str
    facts: tuple[Fact, ...] = ()
    details: tuple[Tree, ...] = ()

    @property
    def key(self) -> Key:
        """What tells it from every other node."""
        return self.kind, self.name


@dataclass(frozen=True)
class Edge:
    """`target` came of `source`; `upward` where the trace followed it from target to source."""

    source: Key
    target: Key
    label: str
    upward: bool = field(default=False, compare=False)

    @property
    def here(self) -> Key:
        """The end that the trace came from."""
        return self.target if self.upward else self.source

    @property
    def there(self) -> Key:
        """The end that the trace went to."""
        return self.source if self.upward else self.target

    @property
    def link(self) -> str:
        """The label as it reads in the direction that was followed."""
        return _BACKWARDS[self.label] if self.upward else self.label


@dataclass(frozen=True)
class More:
    """Links of a node that were not followed: how many, and of which kind."""

    here: Key
    kind: str
    link: str
    count: str


@dataclass(frozen=True)
class Graph:
    """Nodes in the order in which they were found, the first being where the trace began."""

    nodes: Mapping[Key, Node]
    edges: tuple[Edge, ...]
    more: tuple[More, ...] = ()

    @property
    def start(self) -> Node:
        """Where the trace began."""
        return next(iter(self.nodes.values()))

    def of_kind(self, kind: str) -> tuple[Node, ...]:
        """The nodes of a kind."""
        return tuple(node for node in self.nodes.values() if node.kind == kind)


def to_tree(graph: Graph) -> Tree:
    """Every node once in full, below the node that is nearest to the start; else its name alone."""
    outward: dict[Key, list[Edge]] = defaultdict(list)
    for edge in graph.edges:
        outward[edge.here].append(edge)
    full = _nearest(graph.start.key, outward)
    more: dict[Key, list[More]] = defaultdict(list)
    for each in graph.more:
        more[each.here].append(each)

    def grown(key: Key, link: str) -> Tree:
        node = graph.nodes[key]
        below = list(node.details)
        for edge in outward[key]:
            if edge in full:
                below.append(grown(edge.there, edge.link))
            else:
                below.append(Tree(*edge.there, link=edge.link))
        below += [Tree(m.kind, "", (("not_shown", m.count),), link=m.link) for m in more[key]]
        return Tree(node.kind, node.name, node.facts, tuple(below), link)

    return grown(graph.start.key, "")


def _nearest(start: Key, outward: Mapping[Key, list[Edge]]) -> set[Edge]:
    """For each node but the start, the edge by which breadth-first search reaches it."""
    seen, queue, found = {start}, deque([start]), set()
    while queue:
        for edge in outward.get(queue.popleft(), ()):
            if edge.there not in seen:
                seen.add(edge.there)
                queue.append(edge.there)
                found.add(edge)
    return found


def as_json(graph: Graph) -> dict[str, Any]:
    """Plain lists of nodes and edges, an edge by the positions of its nodes."""
    place = {key: number for number, key in enumerate(graph.nodes)}
    return {
        "nodes": [
            {"kind": node.kind, "name": node.name, "facts": dict(node.facts)}
            for node in graph.nodes.values()
        ],
        "edges": [
            {"from": place[edge.source], "to": place[edge.target], "label": edge.label}
            for edge in graph.edges
        ],
        "not_shown": [
            {"of": place[each.here], "kind": each.kind, "link": each.link, "count": each.count}
            for each in graph.more
        ],
    }
