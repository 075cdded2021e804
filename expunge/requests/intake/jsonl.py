"""JSON Lines with the fields of a row; a line in a standard's form is told which format it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from expunge.requests.intake.json_values import objects_by_line
from expunge.requests.intake.rows import BadRowError, Row

_SIGNS = {"specversion": "cloudevents", "subject_request_id": "opendsr"}


def rows(stream: BinaryIO) -> Iterator[Row]:
    """The object of each line."""
    for number, found in objects_by_line(stream, batches=False):
        if not isinstance(found, BadRowError) and "subject_id" not in found:
            for sign, name in _SIGNS.items():
                if sign in found:
                    found = BadRowError(f"is written as --format {name}")  # noqa: PLW2901
                    break
        yield Row(number, found)
