"""Long lists, in pieces that fit one statement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")

IN_LIST = 5_000  # SQLite allows 32,766 parameters in a statement, PostgreSQL 65,535


def chunked(items: Iterable[T], size: int = IN_LIST) -> Iterator[list[T]]:
    """`items` in lists of at most `size`, streamed."""
    remaining = iter(items)
    while chunk := list(islice(remaining, size)):
        yield chunk
