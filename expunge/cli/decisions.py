"""`expunge request hold | release | deny | cancel | confirm | extend`: what an operator decides."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from expunge.cli.command import command
from expunge.cli.output import day, print_json
from expunge.cli.requests import RequestArgument, request_json
from expunge.cli.session import Session

if TYPE_CHECKING:
    from expunge.requests import Ledger

ReasonOption = Annotated[
    str, typer.Option(help="Why; kept in the history. Name no person.", show_default=False)
]


def register(requests: typer.Typer) -> None:
    """The decisions, as commands of `expunge request`."""
    for decision in (hold, release, deny, cancel, confirm, extend):
        command(requests, reads_json=True)(decision)


def hold(session: Session, request: RequestArgument, reason: ReasonOption) -> None:
    """Hold a pending request back: identity check, legal hold."""
    with _decided(session, request) as ledger:
        ledger.hold(request, reason)


def release(session: Session, request: RequestArgument) -> None:
    """Let a held request go on."""
    with _decided(session, request) as ledger:
        ledger.release(request)


def deny(session: Session, request: RequestArgument, reason: ReasonOption) -> None:
    """Refuse a request, for a reason that the law allows."""
    with _decided(session, request) as ledger:
        ledger.deny(request, reason)


def cancel(session: Session, request: RequestArgument, reason: ReasonOption) -> None:
    """Take a pending request back."""
    with _decided(session, request) as ledger:
        ledger.cancel(request, reason)


def confirm(session: Session, request: RequestArgument) -> None:
    """Let a blocked request erase a whole class, or everything."""
    with _decided(session, request) as ledger:
        ledger.confirm(request)


def extend(session: Session, request: RequestArgument, reason: ReasonOption) -> None:
    """Extend the deadline once, with notice to the person (GDPR art. 12(3), CCPA)."""
    with _decided(session, request) as ledger:
        ledger.extend(request, reason)


@contextmanager
def _decided(session: Session, request_id: str) -> Iterator[Ledger]:
    """The ledger for one decision; afterwards, where the request stands."""
    with session.ledger() as ledger:
        yield ledger
        request = ledger.request(request_id)
    if session.json:
        print_json(request_json(request))
    else:
        session.out.print(f"{request.id}: {request.state}, due {day(request.due_at)}")
