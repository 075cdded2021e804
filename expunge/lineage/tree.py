"""The shape of every trace: a small tree of named facts, printed for people or as JSON.

`Tree` values hold ids, counts, digests and times; the only trace of a person is a shortened
`subject_ref` with its `key_id`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from rich.tree import Tree as RichTree

Value: TypeAlias = str | int | float | bool | None
Fact: TypeAlias = tuple[str, Value]
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")
_DIGEST = re.compile(r"[0-9a-f]{30,}(\.dir)?")
_COLOURS = {
    "request": "bold cyan",
    "model": "bold magenta",
    "model version": "magenta",
    "subject": "bold cyan",
    "dataset": "bold blue",
    "dataset version": "blue",
    "batch": "bold yellow",
    "rung": "yellow",
    "promotion": "green",
}
_VERDICTS = {
    "pass": "green",
    "fail": "red",
    "inconclusive": "yellow",
    "held": "red",
    "promoted": "green",
    "retrained": "green",
    "completed": "green",
    "settled": "green",
}


@dataclass(frozen=True)
class Tree:
    """One thing, what is known of it, and what it leads to; `link` is how it is led to."""

    kind: str
    title: str
    facts: tuple[Fact, ...] = ()
    children: tuple[Tree, ...] = ()
    link: str = ""

    def fact(self, name: str) -> Value:
        """The value of fact `name`; None where there is none."""
        return dict(self.facts).get(name)

    def walk(self) -> Iterator[Tree]:
        """This one, then all below it, in the order of printing."""
        yield self
        for child in self.children:
            yield from child.walk()


def facts(**values: Value | datetime) -> tuple[Fact, ...]:
    """Facts in the order given, without those that are None; times in ISO 8601, UTC."""
    known = {name: value for name, value in values.items() if value is not None}
    return tuple(
        (name, _iso(value) if isinstance(value, datetime) else value)
        for name, value in known.items()
    )


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def to_json(tree: Tree) -> dict[str, Any]:
    """Plain dicts and lists: kind, title, link, facts by name, children."""
    return {
        "kind": tree.kind,
        "title": tree.title,
        "link": tree.link,
        "facts": dict(tree.facts),
        "children": [to_json(child) for child in tree.children],
    }


def from_json(value: Mapping[str, Any]) -> Tree:
    """Undo `to_json`."""
    return Tree(
        value["kind"],
        value["title"],
        tuple(value["facts"].items()),
        tuple(from_json(child) for child in value["children"]),
        value["link"],
    )


def render(tree: Tree) -> RichTree:
    """The tree for a terminal: `console.print(render(tree))`."""
    from rich.tree import Tree as RichTree

    branch = RichTree(_line(tree), guide_style="dim")
    for child in tree.children:
        branch.add(render(child))
    return branch


def _line(tree: Tree) -> Any:
    """Kind and title, then the facts; what was decided in its colour."""
    from rich.text import Text

    line = Text()
    if tree.link:
        line.append(f"{tree.link} ", style="italic dim")
    line.append(f"{tree.kind} {tree.title}".strip(), style=_COLOURS.get(tree.kind, "bold"))
    for name, value in tree.facts:
        line.append(f"  {name.replace('_', ' ')} ", style="dim")
        line.append(said(value), style=_VERDICTS.get(str(value), ""))
    return line


def said(value: Value) -> str:
    """A value for people: times to the minute in UTC, digests by their first characters."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    text = str(value)
    if _TIME.fullmatch(text):
        return text[:16].replace("T", " ")
    return f"{text[:10]}…" if _DIGEST.fullmatch(text) else text
