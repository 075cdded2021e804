"""`expunge request`: erasure requests, one at a time. A subject's id goes in, and never out."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from rich.table import Table
from rich.text import Text

from expunge.cli.command import command
from expunge.cli.output import (
    day,
    days_left,
    facts,
    minute,
    print_json,
    print_json_array,
    print_parts,
    printable,
    state,
    table,
)
from expunge.cli.session import Session
from expunge.cli.subject import SubjectArgument, SubjectFileOption, subject_id
from expunge.errors import TerminalError

if TYPE_CHECKING:
    from expunge.requests import Event, Request, RequestState

app = typer.Typer(no_args_is_help=True, help="File and look after erasure requests.")


class Regulation(StrEnum):
    """Which law sets the deadline."""

    GDPR = "gdpr"
    CCPA = "ccpa"


DatasetsOption = Annotated[
    list[str] | None,
    typer.Option("--dataset", metavar="NAME", help="Where to erase; repeatable. Default: all."),
]
RegulationOption = Annotated[
    Regulation, typer.Option(help="Sets the deadline: one month, or 45 days.")
]
SourceOption = Annotated[str, typer.Option(help="The system that the request comes from.")]
RequestArgument = Annotated[str, typer.Argument(metavar="REQUEST", show_default=False)]


@command(app, reads_json=True)
def add(
    session: Session,
    *,
    subject: SubjectArgument = None,
    subject_file: SubjectFileOption = None,
    external_id: Annotated[
        str | None, typer.Option("--id", help="The request's id in its source. Default: made up.")
    ] = None,
    source: SourceOption = "operator",
    regulation: RegulationOption = Regulation.GDPR,
    dataset: DatasetsOption = None,
    received: Annotated[
        datetime | None,
        typer.Option(help="When it was received, in UTC. Default: now.", show_default=False),
    ] = None,
) -> None:
    """File one erasure request. The same source and id again changes nothing."""
    from expunge.requests import Filing

    filing = Filing(
        source=source,
        external_id=external_id or f"made-up-{secrets.token_hex(6)}",
        subject_id=subject_id(subject, subject_file),
        regulation=regulation.value,
        received_at=_received(received),
        datasets=datasets_of(session, dataset),
    )
    with session.ledger() as ledger:
        filed = next(iter(ledger.file([filing])))
        request = ledger.request(filed.request_id)
    if session.json:
        print_json({"request_id": request.id, "outcome": filed.outcome, "due_at": request.due_at})
    if filed.outcome == "conflict":
        raise TerminalError(
            f"Request {request.id} was filed before with another content.",
            left="The request stays as it was filed first.",
            fix=f"expunge request show {request.id}; file the new one under an id of its own",
        )
    if not session.json:
        again = " (already filed)" if filed.outcome == "duplicate" else ""
        session.out.print(f"{request.id}{again}: {request.state}, due {day(request.due_at)}")


def _received(given: datetime | None) -> datetime | None:
    moment = given.replace(tzinfo=UTC) if given else None
    if moment and moment > datetime.now(UTC) + timedelta(days=1):
        raise typer.BadParameter("lies in the future", param_hint="--received")
    return moment


def datasets_of(session: Session, names: list[str] | None) -> tuple[str, ...]:
    """The datasets of a filing: those named, which have to exist, or all of the workspace."""
    workspace = session.workspace()
    if names:
        return tuple(workspace.dataset(name).name for name in dict.fromkeys(names))
    found = tuple(spec.name for spec in workspace.datasets())
    if not found:
        raise TerminalError("The workspace has no dataset spec.", fix="write data/NAME.yaml")
    return found


@command(app, "list", reads_json=True)
def list_requests(
    session: Session,
    only: Annotated[
        str | None, typer.Option("--state", help="Only those in this state, e.g. pending.")
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="Only those in this dataset.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="At most so many; 0 for all.")] = 50,
) -> None:
    """Requests in order of their deadline."""
    wanted = _state(only)
    with session.ledger() as ledger:
        found = ledger.requests(state=wanted, dataset=dataset, limit=limit + 1 if limit else None)
        if session.json:
            print_json_array(map(request_json, islice(found, limit or None)))
        else:
            _print_list(session, found, limit)


def _state(given: str | None) -> RequestState | None:
    from expunge.requests.values import REQUEST_STATES

    if given is not None and given not in REQUEST_STATES:
        raise typer.BadParameter(f"choose from {', '.join(REQUEST_STATES)}", param_hint="--state")
    return cast("RequestState | None", given)


def _print_list(session: Session, found: Iterator[Request], limit: int) -> None:
    rows = table("request", "state", "source", "due", "days", "datasets", right=["days"])
    rows.columns[0].no_wrap = True
    for request in islice(found, limit or None):
        datasets = ", ".join(target.dataset for target in request.targets)
        ends = request.state in _ENDED
        left = "" if ends else days_left(request.due_at)
        source, due = printable(request.source), day(request.due_at)
        rows.add_row(request.id, state(request.state), source, due, left, datasets)
    if not rows.row_count:
        session.out.print("No requests.")
        return
    session.out.print(rows)
    if next(found, None) is not None:
        session.out.print(f"… and more: --limit 0 lists all, now {limit}.")


_ENDED = ("completed", "denied", "cancelled", "no_match", "already_erased")


@command(app, reads_json=True)
def show(session: Session, request: RequestArgument) -> None:
    """One request: where it stands in each dataset and model, and its history."""
    with session.ledger() as ledger:
        found, history = ledger.request(request), list(ledger.events(request_id=request))
    if session.json:
        print_json(request_json(found) | {"events": [_event_json(event) for event in history]})
        return
    rows = table("when (UTC)", "what", "where")
    for event in history:
        where = " ".join(filter(None, (event.dataset, event.model, event.batch_id)))
        rows.add_row(minute(event.at), event.kind, where)
    print_parts(session.out, _facts(found), _targets(found), rows)


def _facts(request: Request) -> Table:
    pairs: list[tuple[str, str | Text]] = [
        ("request", request.id),
        ("state", state(request.state)),
        ("from", printable(f"{request.source} {request.external_id}")),
        ("regulation", request.regulation.upper()),
        ("received", f"{minute(request.received_at)} UTC"),
        ("due", f"{minute(request.due_at)} UTC"),
        ("subject ref", f"{request.subject_ref[:16]}… (key {request.key_id})"),
    ]
    return facts(pairs + ([("reason", printable(request.reason))] if request.reason else []))


def _targets(request: Request) -> Table:
    rows = table("dataset", "state", "rows", "batch", "models", right=["rows"])
    for target in request.targets:
        settled = (
            f"{each.model}: {each.state.replace('_', ' ')}"
            + (f" in version {each.version}" if each.version else "")
            for each in target.settlements
        )
        note = printable(target.reason or "") or (f"see {target.cites}" if target.cites else "")
        models = "\n".join(settled) or note
        rows.add_row(
            target.dataset, state(target.state), f"{target.rows:,}", target.batch_id or "-", models
        )
    return rows


def request_json(request: Request) -> dict[str, Any]:
    """A request as plain values; the subject only as its reference."""
    from dataclasses import asdict

    return asdict(request)


def _event_json(event: Event) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(event)
