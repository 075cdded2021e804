"""How results look: JSON for scripts, tables of at most 80 columns for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

SOON_DAYS = 5
_COLOURS = {
    "completed": "green",
    "finished": "green",
    "promoted": "green",
    "retrained": "green",
    "pass": "green",
    "blocked": "red",
    "failed": "red",
    "fail": "red",
    "held": "yellow",
    "inconclusive": "yellow",
    "on_hold": "yellow",
    "erased_model_pending": "yellow",
}


def print_json(payload: Any, *, indent: int | None = 2) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(to_json(payload, indent=indent) + "\n")


def print_json_array(items: Iterable[Any]) -> None:
    """A JSON array on standard output, one element at a time and one per line."""
    separator = "[\n"
    for item in items:
        sys.stdout.write(separator + to_json(item, indent=None))
        separator = ",\n"
    sys.stdout.write("[]\n" if separator == "[\n" else "\n]\n")


def print_parts(console: Console, *parts: RenderableType) -> None:
    """Tables and the like, with an empty line between them."""
    for number, part in enumerate(parts):
        if number:
            console.print()
        console.print(part)


def to_json(payload: Any, *, indent: int | None) -> str:
    """JSON text; times in ISO 8601, anything else that JSON lacks as text."""
    return json.dumps(payload, indent=indent, ensure_ascii=False, default=_plain)


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def table(*columns: str, title: str | None = None, right: Iterable[str] = ()) -> Table:
    """An empty table; columns named in `right` are numbers, and those are never wrapped."""
    numbers = set(right)
    made = Table(
        box=box.SIMPLE_HEAD,
        title=title,
        title_justify="left",
        title_style="bold",
        show_edge=False,
        pad_edge=False,
    )
    for column in columns:
        number = column in numbers
        made.add_column(column, justify="right" if number else "left", no_wrap=number)
    return made


def facts(pairs: Iterable[tuple[str, RenderableType]]) -> Table:
    """Names beside values, without a frame."""
    made = Table.grid(padding=(0, 2))
    made.add_column(style="cyan", no_wrap=True)
    made.add_column()
    for name, value in pairs:
        made.add_row(name, value)
    return made


def state(word: str) -> Text:
    """A state or verdict, in its colour."""
    return Text(word, style=_COLOURS.get(word, ""))


def short(md5: str | None) -> str:
    """A dataset version or commit, short enough to read."""
    return md5[:10] if md5 else "none"


def day(moment: datetime | None) -> str:
    """A date in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d") if moment else "-"


def minute(moment: datetime | None) -> str:
    """A time in UTC, to the minute."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M") if moment else "-"


def days_left(due_at: datetime, now: datetime | None = None) -> Text:
    """Whole days until a deadline, red when past and yellow when near."""
    days = (due_at - (now or datetime.now(UTC))).total_seconds() / 86_400
    style = "red" if days < 0 else "yellow" if days <= SOON_DAYS else ""
    return Text(f"{days:.0f}" if days >= 1 or days <= -1 else f"{days:.1f}", style=style)


def plural(number: int, noun: str, nouns: str | None = None) -> str:
    """`1 row`, `2,000 rows`."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


def printable(text: str) -> str:
    """Text from outside, with nothing in it that steers a terminal."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
