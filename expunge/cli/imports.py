"""`expunge request import`: a file of requests. The good lines are kept, the others told.

A line that cannot be filed is named by its number and a reason; its content is never shown.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
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
    from expunge.requests import Filed, Filing, Ledger
    from expunge.requests.intake import Rejected

SHOWN = 20  # refused lines in the table; --json has them all


class Format(StrEnum):
    """How the file is written."""

    CSV = "csv"
    JSONL = "jsonl"


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
            help="CSV or JSONL with id and subject_id; - for standard input.",
            show_default=False,
        ),
    ],
    form: Annotated[
        Format | None, typer.Option("--format", help="Default: by the file's name.")
    ] = None,
    source: SourceOption = "import",
    regulation: RegulationOption = Regulation.GDPR,
    dataset: DatasetsOption = None,
) -> None:
    """File the requests of a CSV or JSONL file. Importing it again changes nothing.

    Columns received_at, regulation, datasets and source override the options, line by line.
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
        )
        known = {spec.name for spec in session.workspace().datasets()}
        imported = file_all(
            ledger,
            entries,
            known,
            lambda lines: progress("import", f"{plural(lines, 'line')} filed", lines),
        )
    if session.json:
        print_json(asdict(imported))
    else:
        _print(session, imported)
    if imported.conflicts or imported.rejected:
        raise typer.Exit(TERMINAL)


def file_all(
    ledger: Ledger,
    entries: Iterable[Filing | Rejected],
    known: set[str],
    on_progress: Callable[[int], None],
) -> Imported:
    """File what can be filed, chunk by chunk; `known` are the datasets that have a spec."""
    imported, lines = Imported(), deque[int | None]()
    for filed in ledger.file(_fit(entries, known, imported, lines)):
        imported.count(filed, lines.popleft())
        if imported.filed % 5_000 == 0:
            on_progress(imported.filed)
    return imported


def _fit(
    entries: Iterable[Filing | Rejected],
    known: set[str],
    imported: Imported,
    lines: deque[int | None],
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
            yield entry


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
