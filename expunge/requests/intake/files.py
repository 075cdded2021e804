"""A file of requests, or standard input, in whichever format it is written."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal, get_args

from expunge.requests.intake import cloudevents, csv_rows, jsonl, opendsr
from expunge.requests.intake.csv_rows import unreadable
from expunge.requests.intake.document import objects_of_document
from expunge.requests.intake.json_values import Value, objects_by_line
from expunge.requests.intake.rows import Defaults, Entry, Row, filings
from expunge.requests.values import Regulation

Format = Literal["csv", "jsonl", "opendsr", "cloudevents"]
FORMATS: tuple[Format, ...] = get_args(Format)

_LINES = (".jsonl", ".ndjson")
_SUFFIXES: Mapping[str, Format] = {
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "opendsr",
}


def read_requests(
    path: Path | Literal["-"],
    *,
    format: Format | None = None,  # noqa: A002 - the word of the command line
    source: str,
    regulation: Regulation,
    datasets: Sequence[str],
    identity_type: str = opendsr.CUSTOMER_ID,
) -> Iterator[Entry]:
    """Filings of a file, or of standard input (`-`), in order; IntakeError if none can be read.

    `source`, `regulation` and `datasets` are for rows that do not say; `identity_type` is the
    identity of an OpenDSR request that the datasets know as the subject's id.
    """
    kind = format or _format_of(path)
    with _opened(path) as stream:
        rows = _rows(stream, kind, identity_type, document=_suffix(path) == ".json")
        yield from filings(rows, Defaults(source, regulation, tuple(datasets)))


def _rows(stream: BinaryIO, kind: Format, identity_type: str, *, document: bool) -> Iterator[Row]:
    if kind == "csv":
        return csv_rows.rows(stream)
    if kind == "jsonl":
        return jsonl.rows(stream)
    read: Callable[[Iterator[Value], str], Iterator[Row]] = (
        opendsr.rows if kind == "opendsr" else cloudevents.rows
    )
    objects = objects_of_document(stream) if document else objects_by_line(stream, batches=True)
    return read(objects, identity_type)


def _format_of(path: Path | Literal["-"]) -> Format:
    """By the last part of the name; `NAME.cloudevents.jsonl` says what its lines are."""
    suffix, inner = _suffix(path), Path(Path(path).stem).suffix.lower().removeprefix(".")
    if suffix in (*_LINES, ".json") and inner in ("opendsr", "cloudevents"):
        return "opendsr" if inner == "opendsr" else "cloudevents"
    if suffix not in _SUFFIXES:
        raise unreadable(
            "its format cannot be told from its name", f"pass --format {', '.join(FORMATS)}"
        )
    return _SUFFIXES[suffix]


def _suffix(path: Path | Literal["-"]) -> str:
    return "" if path == "-" else Path(path).suffix.lower()


@contextmanager
def _opened(path: Path | Literal["-"]) -> Iterator[BinaryIO]:
    if path == "-":
        yield sys.stdin.buffer
        return
    try:
        stream = Path(path).open("rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise unreadable(f"it cannot be opened ({error.strerror})") from None
    with stream:
        yield stream
