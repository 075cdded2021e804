"""One row of whatever format, and the filing that it makes.

Fields: `id` and `subject_id`, and where given `received_at` (ISO 8601; without a zone it is UTC),
`regulation`, `dataset` or `datasets`, `source`. Others are ignored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, cast

from expunge.requests.filing import unfit
from expunge.requests.values import Filing, Position, Regulation

FIELDS = ("id", "subject_id", "received_at", "regulation", "dataset", "datasets", "source")
_TEXTS = tuple(name for name in FIELDS if name != "datasets")
_SKEW = timedelta(days=1)

Fields = Mapping[str, Any]


class BadRowError(Exception):
    """Why one row cannot be taken, without its content."""


class Row(NamedTuple):
    """A row by its number, from 1: its fields, or why they cannot be read.

    `position` is the value of a table's cursor column, for rows that come from one.
    """

    number: int
    fields: Fields | BadRowError
    position: Position | None = None


@dataclass(frozen=True)
class Rejected:
    """A row that cannot be filed: its number from 1, and why, without its content."""

    line: int
    reason: str


Entry = Filing | Rejected


@dataclass(frozen=True)
class Defaults:
    """What holds for rows that do not say."""

    source: str
    regulation: Regulation
    datasets: tuple[str, ...]


def filings(rows: Iterable[Row], defaults: Defaults) -> Iterator[Entry]:
    """A filing of each row, or its rejection; in order, streamed."""
    for row in rows:
        try:
            if isinstance(row.fields, BadRowError):
                raise row.fields
            yield _filing(row.fields, row, defaults)
        except BadRowError as bad:
            yield Rejected(row.number, str(bad))


def one_of(allowed: Sequence[str]) -> str:
    """How a reason names the values that are allowed."""
    return f"is not one of {', '.join(allowed)}"


def _filing(fields: Fields, row: Row, defaults: Defaults) -> Filing:
    for name in _TEXTS:
        value = fields.get(name)
        if value is not None and not isinstance(value, str):
            raise BadRowError(f"field {name} is not a text")
    for name in ("id", "subject_id"):
        if not fields.get(name):
            raise BadRowError(f"field {name} is missing")
    filing = Filing(
        source=fields.get("source") or defaults.source,
        external_id=fields["id"],
        subject_id=fields["subject_id"],
        regulation=cast(Regulation, (fields.get("regulation") or defaults.regulation).lower()),
        received_at=_moment(fields.get("received_at") or ""),
        datasets=_datasets(fields) or defaults.datasets,
        line=row.number,
        position=row.position,
    )
    if problem := unfit(filing):
        raise BadRowError(problem.replace("external_id", "id"))
    return filing


def _datasets(fields: Fields) -> tuple[str, ...]:
    one, several = fields.get("dataset"), fields.get("datasets")
    if one and several:
        raise BadRowError("gives both dataset and datasets")
    given = one or several or ()
    if isinstance(given, str):
        return tuple(name.strip() for name in given.split(";"))
    if not isinstance(given, list | tuple) or not all(isinstance(name, str) for name in given):
        raise BadRowError("field datasets is not a list of texts")
    return tuple(given)


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
        aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadRowError("received_at is not an ISO 8601 time") from None
    if aware > datetime.now(UTC) + _SKEW:
        raise BadRowError("received_at lies in the future")
    return aware
