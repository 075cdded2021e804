"""`expunge request import`: a file of requests. The good rows are kept, the others told.

A row that cannot be filed is named by its number and a reason; its content is never shown.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from expunge.cli.command import TERMINAL, command
from expunge.cli.output import plural, print_json, table
from expunge.cli.requests import (
    DatasetsOption,
    Regulation,
    RegulationOption,
    SourceOption,
    datasets_of,
)
from expunge.cli.session import Session

if TYPE_CHECKING:
    from expunge.cli.progress import Reporter
    from expunge.requests import Feed, Filed, Filing, Ledger
    from expunge.requests.intake import Entry, Rejected

SHOWN = 20  # refused lines in the table; --json has them all


class Format(StrEnum):
    """How the file is written."""

    CSV = "csv"
    JSONL = "jsonl"
    OPENDSR = "opendsr"
    CLOUDEVENTS = "cloudevents"


@dataclass(frozen=True)
class Conflict:
    """A line whose source and id were filed before with another content."""

    line: int | None
    request_id: str


@dataclass
class Imported:
    """What became of a file's lines."""

    accepted: int = 0
    duplicates: int = 0
    conflicts: list[Conflict] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)

    @property
    def filed(self) -> int:
        """Lines that the ledger has looked at."""
        return self.accepted + self.duplicates + len(self.conflicts)

    def count(self, filed: Filed, line: int | None) -> None:
        """Add one line that the ledger has looked at."""
        if filed.outcome == "accepted":
            self.accepted += 1
        elif filed.outcome == "duplicate":
            self.duplicates += 1
        else:
            self.conflicts.append(Conflict(line, filed.request_id))


def register(requests: typer.Typer) -> None:
    """`expunge request import`."""
    command(requests, "import", reads_json=True)(import_requests)


def import_requests(
    session: Session,
    *,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="CSV, JSONL, OpenDSR or CloudEvents; - for standard input.",
            show_default=False,
        ),
    ],
    form: Annotated[
        Format | None, typer.Option("--format", help="Default: by the file's name.")
    ] = None,
    source: SourceOption = "import",
    regulation: RegulationOption = Regulation.GDPR,
    dataset: DatasetsOption = None,
    identity_type: Annotated[
        str,
        typer.Option(metavar="TYPE", help="OpenDSR: the identity that is the datasets' subject."),
    ] = "controller_customer_id",
) -> None:
    """File the requests of a file. Importing it again changes nothing.

    Fields received_at, regulation, datasets and source override the options, row by row.
    """
    from expunge.requests.intake import read_requests

    with session.progress() as progress, session.ledger() as ledger:
        datasets = datasets_of(session, dataset)
        path: Path | Literal["-"] = "-" if str(file) == "-" else file
        entries = read_requests(
            path,
            format=form.value if form else None,
            source=source,
            regulation=regulation.value,
            datasets=datasets,
            identity_type=identity_type,
        )
        imported = file_all(ledger, entries, known_datasets(session), told(progress))
    conclude(session, imported)


def known_datasets(session: Session) -> set[str]:
    """The datasets that have a spec."""
    return {spec.name for spec in session.workspace().datasets()}


def told(progress: Reporter) -> Callable[[int], None]:
    """What to call with the number of rows that are filed."""
    return lambda rows: progress("import", f"{plural(rows, 'row')} filed", rows)


def conclude(session: Session, imported: Imported) -> None:
    """Say what became of the rows; exit status 1 where one was not taken."""
    if session.json:
        print_json(asdict(imported))
    else:
        _print(session, imported)
    if imported.conflicts or imported.rejected:
        raise typer.Exit(TERMINAL)


def file_all(
    ledger: Ledger,
    entries: Iterable[Entry],
    known: set[str],
    on_progress: Callable[[int], None],
    *,
    feed: Feed | None = None,
    skip_rejected: bool = False,
) -> Imported:
    """File what can be filed, chunk by chunk; `known` are the datasets that have a spec.

    The place of `feed` stays before the first rejected row, unless `skip_rejected`: it is read
    again, and told again, until someone has mended it.
    """
    gc.freeze()  # a collection would look through every library, and a million rows cause many
    imported, lines = Imported(), deque[int | None]()
    filings = _fit(entries, known, imported, lines, stops=not skip_rejected)
    for filed in ledger.file(filings, feed):
        imported.count(filed, lines.popleft())
        if imported.filed % 5_000 == 0:
            on_progress(imported.filed)
    return imported


def _fit(
    entries: Iterable[Entry],
    known: set[str],
    imported: Imported,
    lines: deque[int | None],
    *,
    stops: bool,
) -> Iterator[Filing]:
    """The filings; their line numbers, in the same order, go to `lines`."""
    from expunge.requests.intake import Rejected

    for entry in entries:
        if isinstance(entry, Rejected):
            imported.rejected.append(entry)
        elif not known.issuperset(entry.datasets):
            imported.rejected.append(Rejected(entry.line or 0, "names a dataset without a spec"))
        else:
            lines.append(entry.line)
            behind = stops and imported.rejected and entry.position is not None
            yield replace(entry, position=None) if behind else entry


def _print(session: Session, imported: Imported) -> None:
    counts = {
        "accepted": imported.accepted,
        "duplicates": imported.duplicates,
        "conflicts": len(imported.conflicts),
        "rejected": len(imported.rejected),
    }
    session.out.print(", ".join(f"{number:,} {name}" for name, number in counts.items()))
    refused = _refused(imported)
    if not refused:
        return
    rows = table("line", "not filed, because", right=["line"])
    for line, reason in refused[:SHOWN]:
        rows.add_row(f"{line:,}", reason)
    session.out.print(rows)
    if len(refused) > SHOWN:
        session.out.print(f"… and {len(refused) - SHOWN:,} more: --json lists all.")


def _refused(imported: Imported) -> list[tuple[int, Any]]:
    rejected = [(each.line, each.reason) for each in imported.rejected]
    conflicts = [
        (each.line or 0, f"conflict: {each.request_id} was filed before with another content")
        for each in imported.conflicts
    ]
    return sorted(rejected + conflicts)
