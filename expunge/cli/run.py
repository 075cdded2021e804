"""`expunge run`: one batch of each dataset, from claim to promotion, through the Prefect flow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from expunge.cli.command import TERMINAL, TRANSIENT, command, explain
from expunge.cli.output import facts, minute, plural, print_json, short, state, table
from expunge.cli.session import Session
from expunge.errors import ExpungeError

if TYPE_CHECKING:
    from expunge.line import BatchReport, ModelReport
    from expunge.requests import Approval


def register(root: typer.Typer) -> None:
    """`expunge run`."""
    command(root, reads_json=True)(run)


def run(
    session: Session,
    dataset: Annotated[
        str | None, typer.Argument(metavar="DATASET", help="Default: all.", show_default=False)
    ] = None,
) -> None:
    """Run the open batch of a dataset, or a new one, to its end.

    --json: one object per batch, one per line; with nothing to do, one whose batch_id is null.
    """
    workspace = session.workspace()
    if dataset is not None:
        names = [workspace.dataset(dataset).name]
    else:
        names = [spec.name for spec in workspace.datasets()]
    done, failures = 0, []
    with _one_api(session, several=len(names) > 1):
        for name in names:
            try:
                report = _run_one(session, name)
            except ExpungeError as error:
                if len(names) == 1:
                    raise
                failures.append(explain(error, as_json=session.json))
                continue
            if report is not None:
                done += 1
                show(session, report)
    if failures:
        raise typer.Exit(TERMINAL if TERMINAL in failures else TRANSIENT)
    if not done:
        show_nothing(session, dataset, _pending(session, names))


def _run_one(session: Session, dataset: str) -> BatchReport | None:
    with session.progress() as progress:
        progress("start", f"{dataset}: the orchestrator")
        from flows.local import run_deletion_batch

        return run_deletion_batch(session.workspace().root, dataset, progress)


def _one_api(session: Session, *, several: bool) -> Any:
    """Several datasets share one embedded Prefect API."""
    from contextlib import nullcontext

    from flows.local import local_api

    return local_api(session.workspace().root) if several else nullcontext()


def _pending(session: Session, datasets: list[str]) -> int:
    """Targets that a run found pending and left so: their models' gates say `wait`."""
    with session.ledger() as ledger:
        return sum(ledger.backlog(name).pending for name in datasets)


def show_nothing(session: Session, dataset: str | None, pending: int = 0) -> None:
    """Tell that no request is pending, or that those which are wait for more of them."""
    if session.json:
        nothing: dict[str, Any] = {
            "batch_id": None,
            "state": "postponed" if pending else "idle",
            "requests": {"pending": pending} if pending else {},
            "dataset": None,
        }
        print_json(nothing | {"models": [], "seconds": {}}, indent=None)
        return
    where = f" in {dataset}" if dataset else ""
    if pending:
        session.out.print(
            f"Postponed{where}: {plural(pending, 'request')} pending, too few rows to judge "
            "forgetting by. A run takes them once there are more, or a deadline comes near.",
            soft_wrap=True,
        )
    else:
        session.out.print(f"Nothing to do{where}: no pending request.")


def show(session: Session, report: BatchReport) -> None:
    """Tell what a batch did: its JSON contract, or tables and one sentence for each model."""
    if session.json:
        print_json(report.to_json(), indent=None)
        return
    session.out.print(Text.assemble(f"Batch {report.batch_id}: ", state(report.state)))
    session.out.print(_what_it_did(report))
    for model in report.models:
        session.out.print()
        session.out.print(_rungs(model))
        if model.plan:
            session.out.print(f"\n{model.plan}", soft_wrap=True)
        session.out.print(f"\n{decision(model)}", soft_wrap=True)
    for asked in report.approvals:
        if asked.state == "waiting":
            session.out.print(f"\n{question(asked)}", soft_wrap=True)
    session.out.print()
    session.out.print(_seconds(report))


def _what_it_did(report: BatchReport) -> Table:
    data = report.dataset
    if report.state == "finished" and not data.rows_erased:
        return facts([("dataset", f"{data.name}: nobody of those asked about has rows here")])
    requests = ", ".join(f"{count} {name}" for name, count in sorted(report.requests.items()))
    shards = f"{data.shards_rewritten} of {plural(data.shards_total, 'shard')} rewritten"
    pairs = [
        ("requests", requests or "none"),
        ("dataset", f"{data.name}: {plural(data.rows_erased, 'row')} erased, {shards}"),
        ("version", f"{short(data.version_before)} → {short(data.version_after)}"),
    ]
    if not report.models:
        pairs.append(("models", "no governed model saw these rows"))
    return facts(pairs)


def _rungs(model: ModelReport) -> Table:
    rows = table("rung", "strategy", "gate", "why", title=model.name, right=["rung"])
    for number, rung in enumerate(model.rungs, start=1):
        rows.add_row(str(number), rung.strategy, state(rung.outcome), rung.why)
    return rows


def decision(model: ModelReport) -> str:
    """What became of the model, in one sentence."""
    tried = len(model.rungs)
    if model.decision == "held":
        why = model.why or f"none of {plural(tried, 'rung')} passed"
        return (
            f"Held: {why}, so {model.name} version "
            f"{model.version_before} keeps its debt; the next batch, or `expunge train "
            f"{model.name}`, pays it."
        )
    how = "retrained from scratch" if model.decision == "retrained" else f"by {model.strategy}"
    refused = f", after {plural(tried - 1, 'refusal')}" if tried > 1 else ""
    return (
        f"Promoted: {model.name} version {model.version_after} ({how}{refused}) replaces "
        f"version {model.version_before}."
    )


def question(asked: Approval) -> str:
    """What waits for a person, and how to answer."""
    return (
        f"Waiting: {asked.model} version {asked.version} passed the gate and is promoted once "
        f"somebody approves it, until {minute(asked.expires_at)} UTC.\n"
        f"  expunge approve {asked.batch_id} --model {asked.model} --reason TEXT\n"
        f"  expunge reject {asked.batch_id} --model {asked.model} --reason TEXT"
    )


def _seconds(report: BatchReport) -> Table:
    rows = Table(
        box=None,
        padding=(0, 2, 0, 0),
        pad_edge=False,
        title="seconds",
        title_justify="left",
        title_style="bold",
        header_style="cyan",
    )
    spent = {**report.seconds, "total": sum(report.seconds.values())}
    for station in spent:
        rows.add_column(station, justify="right", no_wrap=True)
    rows.add_row(*(f"{value:.1f}" for value in spent.values()))
    return rows
