"""What a check found: violations by kind, and what the design lets stand, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["lost", "doubled", "promoted", "orphan", "dataset", "told"]
KINDS: dict[Kind, str] = {
    "lost": "requests lost",
    "doubled": "done twice",
    "promoted": "wrongly promoted",
    "orphan": "orphan bytes",
    "dataset": "dataset wrong",
    "told": "ids told",
}


@dataclass(frozen=True)
class Finding:
    """One violation."""

    kind: Kind
    what: str


@dataclass
class Findings:
    """Violations, and what is there by design."""

    found: list[Finding] = field(default_factory=list)
    allowed: Counter[str] = field(default_factory=Counter)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.found)

    def add(self, kind: Kind, what: str) -> None:
        """One violation more."""
        self.found.append(Finding(kind, what))

    def expect(self, true: object, kind: Kind, what: str) -> None:
        """A violation unless `true`."""
        if not true:
            self.add(kind, what)

    def once(self, kind: Kind, keys: Iterable[Any], what: str) -> None:
        """A violation for each key that comes more than once."""
        for key, count in Counter(keys).items():
            self.expect(count == 1, kind, f"{what} {key}: {count} times")

    def words(self) -> str:
        """A line for each violation."""
        return "\n".join(f"{KINDS[one.kind]}: {one.what}" for one in self.found)
