"""A trace as text that draws it: Mermaid for Markdown pages, DOT for Graphviz.

Left to right, from what was first to what came of it.
"""

from __future__ import annotations

from collections.abc import Iterator

from expunge.lineage.graph import Graph, Node
from expunge.lineage.tree import said

_SHOWN = ("state", "rows", "decision", "strategy", "made_by", "champion", "may_serve", "known")
_PLAIN = " .:@-_/,…"
# Okabe and Ito's palette, lightened: told apart by colour-blind people too.
_FILLS = {
    "subject": "#ffffff",
    "request": "#d6ecfa",
    "batch": "#fbe8c8",
    "dataset": "#cce3f0",
    "dataset version": "#cce3f0",
    "model": "#f3d9e7",
    "model version": "#f3d9e7",
    "derived": "#ccebe0",
}


def mermaid(graph: Graph) -> str:
    """A Mermaid flowchart; the node where the trace began has a thick border."""
    names = {key: f"n{number}" for number, key in enumerate(graph.nodes)}
    lines = ["flowchart LR"]
    for key, node in graph.nodes.items():
        text = "<br/>".join(_entities(line) for line in _label(node))
        lines.append(f'  {names[key]}["{text}"]')
    for edge in graph.edges:
        lines.append(f"  {names[edge.source]} -->|{edge.label}| {names[edge.target]}")
    for number, each in enumerate(graph.more):
        lines.append(f'  m{number}["{_entities(each.count)} more: {each.kind}"]')
        lines.append(f"  {names[each.here]} -.- m{number}")
    for kind, fill in _FILLS.items():
        members = ",".join(names[node.key] for node in graph.of_kind(kind))
        if members:
            lines.append(f"  style {members} fill:{fill},stroke:#555,color:#111")
    lines.append(f"  style {names[graph.start.key]} stroke-width:3px")
    return "\n".join(_one_by_one(lines)) + "\n"


def dot(graph: Graph) -> str:
    """A Graphviz digraph; the node where the trace began has a thick border."""
    names = {key: f"n{number}" for number, key in enumerate(graph.nodes)}
    lines = [
        "digraph trace {",
        "  rankdir=LR;",
        '  node [shape=box, style="rounded,filled", fontname="Helvetica", color="#555555"];',
        '  edge [fontname="Helvetica", fontsize=10, color="#555555"];',
    ]
    for key, node in graph.nodes.items():
        text = "\\n".join(_quoted(line) for line in _label(node))
        width = ", penwidth=3" if node is graph.start else ""
        fill = _FILLS.get(node.kind, "#ffffff")
        lines.append(f'  {names[key]} [label="{text}", fillcolor="{fill}"{width}];')
    for edge in graph.edges:
        lines.append(f'  {names[edge.source]} -> {names[edge.target]} [label="{edge.label}"];')
    for number, each in enumerate(graph.more):
        lines.append(f'  m{number} [label="{_quoted(each.count)} more: {each.kind}"];')
        lines.append(f"  {names[each.here]} -> m{number} [style=dotted, dir=none];")
    return "\n".join([*lines, "}"]) + "\n"


def _label(node: Node) -> list[str]:
    known = [(name, value) for name, value in node.facts if name in _SHOWN]
    told = [f"{name.replace('_', ' ')}: {said(value)}" for name, value in known]
    return [f"{node.kind} {node.name}".strip(), *told]


def _one_by_one(lines: list[str]) -> Iterator[str]:
    """Mermaid styles one node a line."""
    for line in lines:
        verb, _, rest = line.strip().partition(" ")
        if verb != "style":
            yield line
            continue
        members, _, style = rest.partition(" ")
        yield from (f"  style {member} {style}" for member in members.split(","))


def _entities(text: str) -> str:
    """Nothing that Mermaid or HTML reads as more than text."""
    return "".join(
        each if each.isalnum() or each in " .:@-_/,…" else f"#{ord(each)};" for each in text
    )


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
