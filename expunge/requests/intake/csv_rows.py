"""CSV with a header line. A field cannot hold a line break, so that a line is always a row."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import BinaryIO

from expunge.requests.errors import IntakeError
from expunge.requests.intake.lines import Line, numbered
from expunge.requests.intake.rows import FIELDS, BadRowError, Row


def rows(stream: BinaryIO) -> Iterator[Row]:
    """The rows below the header; IntakeError for a header that cannot be used."""
    lines = numbered(stream)
    header = _header(next(lines, (1, "")))
    for number, text in lines:
        if isinstance(text, BadRowError):
            yield Row(number, text)
        elif text.strip():
            cells = _cells(text)
            if isinstance(cells, BadRowError):
                yield Row(number, cells)
            elif len(cells) != len(header):
                wrong = BadRowError(f"has {len(cells)} fields instead of {len(header)}")
                yield Row(number, wrong)
            else:
                yield Row(number, dict(zip(header, cells, strict=True)))


def _header(first: Line) -> list[str]:
    text = first[1]
    cells = text if isinstance(text, BadRowError) else _cells(text)
    if isinstance(cells, BadRowError):
        raise unreadable(f"its header {cells}")
    header = [name.strip().lower() for name in cells]
    if missing := [name for name in ("id", "subject_id") if name not in header]:
        raise unreadable(f"its header lacks {' and '.join(missing)}")
    if any(header.count(name) > 1 for name in FIELDS):
        raise unreadable("its header names a column twice")
    return header


def _cells(text: str) -> list[str] | BadRowError:
    if '"' not in text and "\r" not in text:
        return text.split(",")  # all that CSV asks of such a line, several times faster
    try:
        return next(csv.reader((text,), strict=True), [])
    except csv.Error:
        return BadRowError("is not CSV")


def unreadable(why: str, fix: str = "mend the file, and import it again") -> IntakeError:
    """The error of a file that cannot be read at all."""
    return IntakeError(f"The file of requests cannot be read: {why}.", fix=fix)
