"""`expunge trace`: what happened to a request, a model or a dataset, as a tree."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from expunge.cli.command import command
from expunge.cli.output import print_json
from expunge.cli.session import Session

if TYPE_CHECKING:
    from expunge.lineage import Tree
    from expunge.requests import Ledger

app = typer.Typer(no_args_is_help=True, help="Follow a request, a model or a dataset.")

NameArgument = Annotated[str, typer.Argument(metavar="NAME", show_default=False)]
VersionArgument = Annotated[
    str | None, typer.Argument(metavar="VERSION", help="Default: all.", show_default=False)
]


@command(app, reads_json=True)
def request(
    session: Session,
    request_id: Annotated[str, typer.Argument(metavar="REQUEST", show_default=False)],
) -> None:
    """From a request to the dataset versions and models that it changed."""
    from expunge.lineage import trace_request

    _print(session, lambda ledger: trace_request(ledger, request_id))


@command(app, reads_json=True)
def model(session: Session, name: NameArgument, version: VersionArgument = None) -> None:
    """From a model to its versions, their data, and the batches that edited it."""
    from expunge.lineage import trace_model

    _print(session, lambda ledger: trace_model(ledger, name, version))


@command(app, reads_json=True)
def dataset(session: Session, name: NameArgument, version: VersionArgument = None) -> None:
    """From a dataset to its versions, and the models that were trained on them."""
    from expunge.lineage import trace_dataset

    _print(session, lambda ledger: trace_dataset(ledger, name, version))


def _print(session: Session, trace: Callable[[Ledger], Tree]) -> None:
    from expunge.lineage import render, to_json

    with session.ledger() as ledger:
        tree = trace(ledger)
    if session.json:
        print_json(to_json(tree))
    else:
        session.out.print(render(tree))
