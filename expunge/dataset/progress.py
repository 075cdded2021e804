"""How long work on a dataset tells how far it is."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called now and then with a step's name, what is done, and of how much if that is known."""

    def __call__(self, step: str, done: int, total: int | None) -> None:
        """`done` of `total` rows or shards of `step`."""


def silent(step: str, done: int, total: int | None) -> None:
    """Tell nobody."""
