"""`expunge request import-table`: new rows of a table in the team's own database.

The database's URL may hold a password. It comes from the environment, a file or standard input,
never as an argument, which every user of the machine can see in the list of processes.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from expunge.cli.command import command
from expunge.cli.imports import conclude, file_all, known_datasets, told
from expunge.cli.requests import DatasetsOption, Regulation, RegulationOption, datasets_of
from expunge.cli.session import Session
from expunge.settings import Invocation, read

URL_VARIABLE = "EXPUNGE_SOURCE_URL"
_LONGEST_URL = 4096


def register(requests: typer.Typer) -> None:
    """`expunge request import-table`."""
    command(requests, "import-table", reads_json=True)(import_table)


def import_table(
    session: Session,
    *,
    source: Annotated[
        str,
        typer.Option(help="Your name for the table: its place is kept under it."),
    ],
    table_name: Annotated[str, typer.Option("--table", metavar="NAME", help="Table or view.")],
    cursor_column: Annotated[
        str, typer.Option(metavar="NAME", help="A column that only grows, such as a serial.")
    ],
    schema: Annotated[str | None, typer.Option(metavar="NAME", help="The table's schema.")] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELD=NAME", help="Which column holds a field; repeatable. Default: its name."
        ),
    ] = None,
    url_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            allow_dash=True,
            help=f"Holds the database's URL; - for standard input. Default: ${URL_VARIABLE}.",
        ),
    ] = None,
    from_start: Annotated[bool, typer.Option("--from-start", help="Read every row again.")] = False,
    skip_rejected: Annotated[
        bool, typer.Option("--skip-rejected", help="Go past rows that cannot be taken.")
    ] = False,
    regulation: RegulationOption = Regulation.GDPR,
    dataset: DatasetsOption = None,
) -> None:
    """File the new requests of a table, which is only read.

    The next run goes on where this one ended. A row that cannot be taken is told in every run,
    until it is mended or passed by --skip-rejected.
    """
    from expunge.requests import Feed
    from expunge.requests.intake import Defaults, TableSource, read_table

    wanted = TableSource(_url(url_file), table_name, cursor_column, schema, _columns(column or []))
    with session.progress() as progress, session.ledger() as ledger:
        defaults = Defaults(source, regulation.value, datasets_of(session, dataset))
        qualified = f"{schema}.{table_name}" if schema else table_name
        feed = ledger.feed(Feed(source, qualified, cursor_column))
        since = None if from_start else feed.position
        imported = file_all(
            ledger,
            read_table(wanted, defaults, since),
            known_datasets(session),
            told(progress),
            feed=feed,
            skip_rejected=skip_rejected,
        )
    conclude(session, imported)


def _url(file: Path | None) -> str:
    """The one line that holds the URL; its content is in no error."""
    if file is None:
        given = read(Invocation).source_url
        if given is None or not given.get_secret_value():
            raise typer.BadParameter(f"set ${URL_VARIABLE}, or give --url-file FILE")
        return given.get_secret_value().strip()
    try:
        text = (sys.stdin if str(file) == "-" else file.open()).read(_LONGEST_URL)
    except (OSError, UnicodeDecodeError):
        raise typer.BadParameter("cannot be read", param_hint="--url-file") from None
    if len(text.split()) != 1:
        raise typer.BadParameter("does not hold one URL", param_hint="--url-file")
    return text.strip()


def _columns(given: list[str]) -> dict[str, str]:
    pairs = [each.partition("=") for each in given]
    if any(not (name and column) for name, _, column in pairs):
        raise typer.BadParameter("write FIELD=NAME", param_hint="--column")
    return {name: column for name, _, column in pairs}
