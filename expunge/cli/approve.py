"""`expunge approve | reject`: a person's answer about a candidate that passed the gate."""

from __future__ import annotations

import getpass
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from expunge.cli.command import command
from expunge.cli.decisions import ReasonOption
from expunge.cli.output import print_json
from expunge.cli.session import Session
from expunge.errors import TerminalError

if TYPE_CHECKING:
    from expunge.requests import Approval
    from expunge.requests.approvals import Verdict

BatchArgument = Annotated[str, typer.Argument(metavar="BATCH", show_default=False)]
ModelOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Which model, where several wait.", show_default=False),
]
ByOption = Annotated[
    str | None,
    typer.Option(metavar="WHO", help="Who answers. Default: your name here.", show_default=False),
]


def register(root: typer.Typer) -> None:
    """`expunge approve` and `expunge reject`."""
    for verdict in (approve, reject):
        command(root, reads_json=True)(verdict)


def approve(
    session: Session,
    batch: BatchArgument,
    reason: ReasonOption,
    model: ModelOption = None,
    by: ByOption = None,
) -> None:
    """Let a candidate that passed the gate be promoted.

    The batch goes on with `expunge run`, or at once where PREFECT_API_URL names a server.
    """
    _answer(session, "approved", batch, reason=reason, model=model, by=by)


def reject(
    session: Session,
    batch: BatchArgument,
    reason: ReasonOption,
    model: ModelOption = None,
    by: ByOption = None,
) -> None:
    """Keep a candidate that passed the gate from being promoted: the model is held, in debt.

    The batch goes on with `expunge run`, or at once where PREFECT_API_URL names a server.
    """
    _answer(session, "rejected", batch, reason=reason, model=model, by=by)


def _answer(
    session: Session,
    verdict: Verdict,
    batch: str,
    *,
    reason: str,
    model: str | None,
    by: str | None,
) -> None:
    """Write the answer to the ledger, under somebody's name, and let the batch go on."""
    with session.ledger() as ledger:
        found = ledger.decide_approval(batch, model, verdict, by=_who(by), reason=_one_line(reason))
    _go_on(session, found)


def _go_on(session: Session, found: Approval) -> None:
    """Tell of the answer, and start the job that reads it where a server runs one."""
    from flows.resume import resume

    if session.json:
        print_json(asdict(found))
    else:
        told = f"{found.model} version {found.version}: {found.state} by {found.decided_by}"
        session.out.print(told)
    started = resume(found)
    if not session.json:
        goes_on = f"Run {started} goes on" if started else "`expunge run` goes on"
        session.out.print(f"{goes_on} with batch {found.batch_id}.")


def _who(given: str | None) -> str:
    """Who answers: as given, or the user of this process."""
    if given and given.strip():
        return _one_line(given)
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        raise TerminalError(
            "Nobody's name is known here to put under the answer.", fix="say it: --by WHO"
        ) from None


def _one_line(text: str) -> str:
    return " ".join(text.split())
