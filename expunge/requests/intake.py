"""Files of erasure requests: CSV and JSONL, streamed, one bad line never stopping the others.

A line that cannot be taken is reported by number and reason, never by content: it may hold a
person's id. Fields: `id` and `subject_id`, and where given `received_at` (ISO 8601; without a
zone it is UTC), `regulation`, `dataset` or `datasets`, `source`. Others are ignored. A line is
at most 64 KiB; a CSV field cannot hold a line break.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

from expunge.requests.errors import IntakeError
from expunge.requests.filing import unfit
from expunge.requests.values import Filing, Regulation

Format = Literal["csv", "jsonl"]
LONGEST_LINE = 64 * 1024
_BOM = b"\xef\xbb\xbf"
_SUFFIXES: Mapping[str, Format] = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_FIELDS = ("id", "subject_id", "received_at", "regulation", "dataset", "datasets", "source")
_SKEW = timedelta(days=1)


@dataclass(frozen=True)
class Rejected:
    """A line that cannot be filed: its number from 1, and why, without its content."""

    line: int
    reason: str


class _BadLineError(Exception):
    """Why one line cannot be taken."""


def read_requests(
    path: Path | Literal["-"],
    *,
    format: Format | None = None,  # noqa: A002 - the word of the command line
    source: str,
    regulation: Regulation,
    datasets: Sequence[str],
) -> Iterator[Filing | Rejected]:
    """Filings of a file, or of standard input (`-`), in order; IntakeError if none can be read.

    `source`, `regulation` and `datasets` are for lines that do not say.
    """
    kind = format or _format_of(path)
    default = _Defaults(source, regulation, tuple(datasets))
    with _opened(path) as stream:
        lines = _lines(stream)
        parse = _json_fields if kind == "jsonl" else _csv_parser(lines)
        for number, line in lines:
            try:
                if isinstance(line, _BadLineError):
                    raise line
                text = _text(line)
                if text.strip():
                    yield default.filing(parse(text), number)
            except _BadLineError as bad:
                yield Rejected(number, str(bad))


@dataclass(frozen=True)
class _Defaults:
    source: str
    regulation: Regulation
    datasets: tuple[str, ...]

    def filing(self, fields: Mapping[str, Any], line: int) -> Filing:
        for name in ("id", "subject_id"):
            if fields.get(name) in (None, ""):
                raise _BadLineError(f"field {name} is missing")
        for name in _FIELDS:
            if name != "datasets" and not isinstance(fields.get(name, ""), str | None):
                raise _BadLineError(f"field {name} is not a text")
        filing = Filing(
            source=fields.get("source") or self.source,
            external_id=fields["id"],
            subject_id=fields["subject_id"],
            regulation=cast(Regulation, (fields.get("regulation") or self.regulation).lower()),
            received_at=_moment(fields.get("received_at") or ""),
            datasets=_datasets(fields) or self.datasets,
            line=line,
        )
        if problem := unfit(filing):
            raise _BadLineError(problem.replace("external_id", "id"))
        return filing


def _datasets(fields: Mapping[str, Any]) -> tuple[str, ...]:
    if fields.get("dataset") and fields.get("datasets"):
        raise _BadLineError("gives both dataset and datasets")
    given = fields.get("dataset") or fields.get("datasets") or ()
    if isinstance(given, str):
        return tuple(name.strip() for name in given.split(";"))
    if not isinstance(given, list | tuple) or not all(isinstance(name, str) for name in given):
        raise _BadLineError("field datasets is not a list of texts")
    return tuple(given)


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
        aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _BadLineError("received_at is not an ISO 8601 time") from None
    if aware > datetime.now(UTC) + _SKEW:
        raise _BadLineError("received_at lies in the future")
    return aware


def _lines(stream: BinaryIO) -> Iterator[tuple[int, bytes | _BadLineError]]:
    """Lines with their numbers; of one that is too long, no more than the limit is held."""
    number = 0
    while line := stream.readline(LONGEST_LINE + 1):
        number += 1
        if number == 1:
            line = line.removeprefix(_BOM)
        if len(line) > LONGEST_LINE and not line.endswith(b"\n"):
            while (rest := stream.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
                pass
            yield number, _BadLineError(f"is longer than {LONGEST_LINE} bytes")
        else:
            yield number, line


def _text(line: bytes) -> str:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        raise _BadLineError("is not UTF-8") from None
    if "\0" in text:
        raise _BadLineError("has a NUL byte")
    return text.rstrip("\r\n")


def _json_fields(text: str) -> Mapping[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) != len(pairs):
            raise _BadLineError("names a field twice")
        return dict(pairs)

    try:
        fields = json.loads(text, object_pairs_hook=once)
    except (ValueError, RecursionError):
        raise _BadLineError("is not JSON") from None
    if not isinstance(fields, dict):
        raise _BadLineError("is not a JSON object")
    return fields


def _csv_parser(
    lines: Iterator[tuple[int, bytes | _BadLineError]],
) -> Callable[[str], Mapping[str, Any]]:
    """Read the header line, and return the parser of the lines after it."""
    try:
        first = next(lines, (1, b""))[1]
        if isinstance(first, _BadLineError):
            raise first
        header = [name.strip().lower() for name in _csv_cells(_text(first))]
    except _BadLineError as bad:
        raise _unreadable(f"its header {bad}") from None
    if missing := [name for name in ("id", "subject_id") if name not in header]:
        raise _unreadable(f"its header lacks {' and '.join(missing)}")
    if any(header.count(name) > 1 for name in _FIELDS):
        raise _unreadable("its header names a column twice")

    def parse(text: str) -> Mapping[str, Any]:
        cells = _csv_cells(text)
        if len(cells) != len(header):
            raise _BadLineError(f"has {len(cells)} fields instead of {len(header)}")
        return dict(zip(header, cells, strict=True))

    return parse


def _csv_cells(text: str) -> list[str]:
    try:
        return next(csv.reader([text], strict=True), [])
    except csv.Error:
        raise _BadLineError("is not CSV") from None


def _format_of(path: Path | Literal["-"]) -> Format:
    suffix = "" if path == "-" else Path(path).suffix.lower()
    if suffix not in _SUFFIXES:
        raise _unreadable("its format cannot be told from its name", "pass --format csv or jsonl")
    return _SUFFIXES[suffix]


@contextmanager
def _opened(path: Path | Literal["-"]) -> Iterator[BinaryIO]:
    if path == "-":
        yield sys.stdin.buffer
        return
    try:
        stream = Path(path).open("rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise _unreadable(f"it cannot be opened ({error.strerror})") from None
    with stream:
        yield stream


def _unreadable(why: str, fix: str = "mend the file, and import it again") -> IntakeError:
    return IntakeError(f"The file of requests cannot be read: {why}.", fix=fix)
