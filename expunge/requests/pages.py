"""Reading the first of many, and nothing twice: what `Links` stands on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Row, Select, func, literal, select

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
COUNTED = 10_000  # what is more is not counted to its end


@dataclass(frozen=True)
class Page(Generic[T_co]):
    """The first of many; `total` is `COUNTED` where there are at least so many."""

    items: tuple[T_co, ...]
    total: int

    @property
    def left(self) -> int:
        """How many are not shown."""
        return self.total - len(self.items)


@dataclass
class Reader:
    """One read transaction, and what was read in it."""

    connection: Connection
    _known: dict[tuple[object, ...], Any] = field(default_factory=dict, init=False, repr=False)

    def _once(self, key: tuple[object, ...], read: Callable[[], T]) -> T:
        """What was read before under `key`; a trace comes by the same record many times."""
        if key not in self._known:
            self._known[key] = read()
        found: T = self._known[key]
        return found

    def _page(self, query: Select[Any], order: Any, limit: int) -> tuple[Sequence[Row[Any]], int]:
        rows = self.connection.execute(query.order_by(order).limit(limit)).all()
        if len(rows) < limit:
            return rows, len(rows)
        some = query.with_only_columns(literal(1)).limit(COUNTED).subquery()
        total = self.connection.execute(select(func.count()).select_from(some)).scalar_one()
        return rows, total
