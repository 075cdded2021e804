"""`expunge ingest` and `expunge catch-up`: versions of a dataset."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from expunge.cli.command import command
from expunge.cli.output import facts, plural, print_json, short
from expunge.cli.session import Session

if TYPE_CHECKING:
    from expunge.line import Ingested


class Mode(StrEnum):
    """What becomes of the rows that are there."""

    APPEND = "append"
    REPLACE = "replace"


def register(root: typer.Typer) -> None:
    """`expunge ingest` and `expunge catch-up`."""
    command(root, reads_json=True)(ingest)
    command(root, name="catch-up", reads_json=True)(catch_up)


def ingest(
    session: Session,
    dataset: Annotated[str, typer.Argument(metavar="NAME", show_default=False)],
    source: Annotated[
        Path,
        typer.Option(
            "--from",
            metavar="PATH",
            exists=True,
            readable=True,
            help="Parquet, CSV, NPZ, images with a manifest, a Hugging Face folder.",
        ),
    ],
    mode: Annotated[
        Mode, typer.Option(help="Add to the rows there, or replace them.")
    ] = Mode.APPEND,
) -> None:
    """Read rows into a dataset and publish the version that they make.

    People who were erased before do not come back in: their rows are left out and counted.
    """
    with session.line() as line:
        from expunge.line import ingest as ingest_rows

        ingested = ingest_rows(line, dataset, source, mode.value)
    if session.json:
        print_json(asdict(ingested))
    else:
        _print(session, ingested)


def catch_up(
    session: Session, dataset: Annotated[str, typer.Argument(metavar="NAME", show_default=False)]
) -> None:
    """Teach a ledger that was restored from a backup what was published since.

    First import again what was filed since that backup. Versions and erased people are read from
    the workspace's git history, so that nobody comes back; `expunge run` then goes on.
    """
    with session.line() as line:
        from expunge.line import catch_up as catch_up_with

        learned = catch_up_with(line, dataset)
    if session.json:
        print_json(asdict(learned))
        return
    if not learned.versions:
        session.out.print(f"{dataset}: the ledger knows every version.")
        return
    pairs = [
        ("versions", f"{learned.versions:,} learned"),
        ("people", f"{learned.people:,} erased in them"),
        ("requests", f"{learned.filed:,} filed for people who had none"),
    ]
    session.out.print(facts(pairs))


def _print(session: Session, ingested: Ingested) -> None:
    unchanged = not ingested.shards_written
    heading = "nothing new, still" if unchanged else "now"
    session.out.print(f"{ingested.dataset}: {heading} version {ingested.ordinal}.")
    pairs = [
        ("rows read", f"{ingested.rows_in:,}"),
        ("added", f"{ingested.rows_added:,}"),
        ("known already", f"{ingested.duplicates:,}"),
        ("of erased people", f"{ingested.suppressed:,} left out"),
        ("rows in all", f"{ingested.rows_total:,}"),
        ("shards written", plural(ingested.shards_written, "shard")),
        ("DVC version", short(ingested.version)),
        ("git commit", short(ingested.commit)),
    ]
    session.out.print(facts(pairs))
