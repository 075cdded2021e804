"""`expunge report`: what a batch was asked, what it did, and why, in a terminal or as one page."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from expunge.cli.command import command
from expunge.cli.output import day, facts, plural, print_json, print_parts, short, state, table
from expunge.cli.session import Session
from expunge.errors import TerminalError

if TYPE_CHECKING:
    from expunge.evaluation import Criterion
    from expunge.line import Line
    from expunge.report import ModelPart, Report

_CRITERIA = {
    "forgetting": "hard AUC",
    "over_forgetting": "over",
    "each_person": "person",
    "held_out": "held out",
}
_UNITS = {"generalisation": "pts", "relative_generalisation": "%"}
_MARKS = {"pass": "✓", "fail": "✗", "inconclusive": "?"}


def register(root: typer.Typer) -> None:
    """`expunge report`."""
    command(root, reads_json=True)(report)


def report(
    session: Session,
    batch: Annotated[
        str | None, typer.Argument(metavar="BATCH", help="Default: the newest.", show_default=False)
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write one page, which needs no network."),
    ] = None,
    with_rows: Annotated[
        bool,
        typer.Option("--with-rows", help="The page shows rows of held-out people, perturbed."),
    ] = False,
) -> None:
    """What a batch was asked and by when, what it erased, each candidate's verdict, and why."""
    from expunge.line.account import account
    from expunge.line.reporting import logged_run, rendered

    with session.line() as line:
        found = account(line, batch or _newest(line))
        logged = logged_run(line, found.batch_id)
        if html is not None:
            line.progress("report", "plots from MLflow")
            html.write_text(rendered(line, found, others_rows=with_rows), encoding="utf-8")
    if session.json:
        print_json(found.to_json())
    elif html is not None:
        session.out.print(f"{html}: batch {found.batch_id} of {found.dataset}", soft_wrap=True)
    else:
        show(session, found, logged)


def show(session: Session, found: Report, logged: str | None = None) -> None:
    """The decisions, then what they rest on, in 80 columns."""
    from expunge.report import decisions

    out = session.out
    out.print(Text.assemble(f"Batch {found.batch_id} of {found.dataset}: ", state(found.state)))
    for sentence in decisions(found):
        out.print(f"\n{sentence}")
    out.print()
    parts: list[RenderableType] = [_asked(found), _erased(found)]
    for model in found.models:
        parts += _model(model)
    pages = facts(
        [
            *([("MLflow run", logged)] if logged else []),
            ("as a page", f"expunge report {found.batch_id} --html FILE"),
        ]
    )
    print_parts(out, *parts, _seconds(found), pages)


def _newest(line: Line) -> str:
    batches = line.ledger.batches()
    if not batches:
        raise TerminalError("There is no batch to report on yet.", fix="expunge run makes one")
    return batches[-1].id


def _asked(found: Report) -> Table:
    numbers = ["requests", "past due"]
    rows = table("asked under", *numbers, "received from", "due from", "until", right=numbers)
    for asked in found.asked:
        rows.add_row(
            asked.regulation.upper(),
            str(asked.requests),
            Text(str(asked.overdue), style="red" if asked.overdue else ""),
            day(asked.first_received),
            day(asked.first_due),
            day(asked.last_due),
        )
    return rows


def _erased(found: Report) -> Table:
    stand = ", ".join(f"{count} {name}" for name, count in sorted(found.requests.items()))
    pairs: list[tuple[str, RenderableType]] = [("requests", stand or "none")]
    if (erased := found.erasure) is None:
        return facts([*pairs, ("erased", "nothing")])
    before, after = erased.before, erased.after
    people = plural(erased.people, "person", "people")
    shards = f"{erased.shards} of {plural(erased.shards_total, 'shard')}"
    return facts(
        [
            *pairs,
            ("erased", f"{plural(erased.rows, 'row')} of {people}, out of {shards}"),
            (
                "version",
                f"{found.dataset}@{before.ordinal} {short(before.md5)} → "
                f"{found.dataset}@{after.ordinal} {short(after.md5)}",
            ),
        ]
    )


def _model(model: ModelPart) -> list[RenderableType]:
    parts: list[RenderableType] = [_criteria(model)] if model.rungs else []
    if model.plan:
        parts.append(Text(model.plan))
    refused = [rung for rung in model.rungs if rung.outcome != "pass"]
    return [*parts, *(Text(f"Rung {rung.number}: {rung.why}") for rung in refused)]


def _criteria(model: ModelPart) -> Table:
    """One line for each rung: each criterion's outcome, and what it was measured at."""
    rows = table("rung", "strategy", "gate", *_CRITERIA.values(), right=["rung"], title=model.name)
    for rung in model.rungs:
        found = {criterion.name: criterion for criterion in rung.criteria}
        marks = [_mark(found.get(name)) for name in _CRITERIA]
        rows.add_row(str(rung.number), rung.strategy, state(rung.outcome), *marks)
    return rows


def _mark(criterion: Criterion | None) -> Text:
    """`✓ 0.509`, `✗ -4.2 points`; the hard-row AUC stands once."""
    if criterion is None:
        return Text("-")
    mark = state(criterion.outcome)
    mark.plain = _MARKS[criterion.outcome]
    if math.isnan(criterion.estimate) or criterion.name == "over_forgetting":
        return mark
    unit = _UNITS.get(criterion.metric)
    value = f"{100 * criterion.estimate:+.1f} {unit}" if unit else f"{criterion.estimate:.3f}"
    return Text.assemble(mark, f" {value}")


def _seconds(found: Report) -> Table:
    rows = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="cyan")
    spent = {**found.seconds, "total": sum(found.seconds.values())}
    for station in spent:
        rows.add_column(station, justify="right", no_wrap=True)
    rows.add_row(*(f"{value:.1f}" for value in spent.values()))
    return rows
