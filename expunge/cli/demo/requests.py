"""The demo's pile of erasure requests: several sources and formats, and what goes wrong in them.

A CSV file of the privacy portal (GDPR) with a duplicate and a person nobody knows, a JSONL file of
the support desk (CCPA) with a conflict and a malformed line, and one request typed by an operator.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, TypeAlias

from expunge.errors import TerminalError

Role: TypeAlias = str
Line: TypeAlias = dict[str, str]

TRAINED, HELD_OUT = 25, 3
PORTAL, SUPPORT, OPERATOR = "privacy-portal", "support-desk", "operator"
UNKNOWN = "writer-who-never-was"
_BY_PORTAL = 12, 1


class TooFewWritersError(TerminalError):
    """The roles of the dataset leave too few writers for the pile."""


@dataclass(frozen=True)
class People:
    """Writers to erase, by role, and two bystanders whom faulty lines name: they stay."""

    trained: tuple[str, ...] = field(repr=False)
    held_out: tuple[str, ...] = field(repr=False)
    bystanders: tuple[str, str] = field(repr=False)

    @property
    def erased(self) -> tuple[str, ...]:
        """Everyone whose rows have to go."""
        return self.trained + self.held_out


@dataclass(frozen=True)
class Arrival:
    """One file of requests, and what of its lines should become of them."""

    path: Path
    source: str
    regulation: Literal["gdpr", "ccpa"]
    accepted: int
    duplicates: int = 0
    conflicts: int = 0
    rejected: int = 0


@dataclass(frozen=True)
class Pile:
    """Everything that is filed: two files, and one person by `expunge request add`."""

    files: tuple[Arrival, ...]
    by_hand: str = field(repr=False)

    @property
    def states(self) -> Mapping[str, int]:
        """Requests by state, once the batch has run."""
        accepted = sum(file.accepted for file in self.files) + 1
        return {"completed": accepted - 1, "no_match": 1}


def choose(roles: Mapping[str, Role]) -> People:
    """The first writers of each role, in the order given: `roles` is by subject id.

    Raises:
        TooFewWritersError: there are not enough of them.
    """
    trained = [subject for subject, role in roles.items() if role == "T"]
    held_out = [subject for subject, role in roles.items() if role == "E"]
    if len(trained) < TRAINED + 2 or len(held_out) < HELD_OUT:
        raise TooFewWritersError(
            f"The roles leave {len(trained)} trained and {len(held_out)} held-out writers.",
            fix="use the demo's own data/digits.yaml, or give roles T and E larger shares",
        )
    return People(
        trained=tuple(trained[:TRAINED]),
        held_out=tuple(held_out[:HELD_OUT]),
        bystanders=(trained[TRAINED], trained[TRAINED + 1]),
    )


def write_pile(folder: Path, people: People, now: datetime | None = None) -> Pile:
    """Write the two files into `folder`; requests came in over the days before `now`."""
    moment = now or datetime.now(UTC)
    trained, held_out = people.trained, people.held_out
    portal = trained[: _BY_PORTAL[0]] + held_out[: _BY_PORTAL[1]] + (UNKNOWN,)
    support = trained[_BY_PORTAL[0] : -1] + held_out[_BY_PORTAL[1] :]
    return Pile(
        files=(
            _portal(folder / "privacy-portal.csv", _lines("P", portal, moment)),
            _support(folder / "support-desk.jsonl", _lines("S", support, moment), people),
        ),
        by_hand=trained[-1],
    )


def _lines(prefix: str, subjects: Sequence[str], now: datetime) -> list[Line]:
    return [
        {
            "id": f"{prefix}-{number:04}",
            "subject_id": subject,
            "received_at": (now - timedelta(hours=9 * number)).isoformat(timespec="seconds"),
        }
        for number, subject in enumerate(subjects, start=1)
    ]


def _portal(path: Path, lines: list[Line]) -> Arrival:
    """CSV; the last line repeats the first."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(lines[0]))
        writer.writeheader()
        writer.writerows([*lines, lines[0]])
    return Arrival(path, PORTAL, "gdpr", accepted=len(lines), duplicates=1)


def _support(path: Path, lines: list[Line], people: People) -> Arrival:
    """JSONL; one line has the first one's id for another person, one breaks off."""
    first, second = people.bystanders
    conflict = json.dumps(lines[0] | {"subject_id": first})
    broken = json.dumps({"id": "S-9999", "subject_id": second})[:-1]
    texts = [json.dumps(line) for line in lines]
    path.write_text("\n".join([*texts[:5], broken, *texts[5:], conflict]) + "\n", encoding="utf-8")
    return Arrival(path, SUPPORT, "ccpa", accepted=len(lines), conflicts=1, rejected=1)
