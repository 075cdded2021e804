"""`expunge status`: requests, deadlines, batches, models and datasets at a glance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table
from rich.text import Text

from expunge.cli.budget import Spending, budget_tables, spending
from expunge.cli.command import command, explain
from expunge.cli.output import minute, plural, print_json, print_parts, short, state, table
from expunge.cli.session import Session
from expunge.errors import TransientError

if TYPE_CHECKING:
    from expunge.requests import Approval, Batch, Status
    from expunge.workspace import Workspace


@dataclass(frozen=True)
class ModelLine:
    """A governed model. `aliases` are the registry's own; None where it does not answer.

    `budget`: spent since the last exact model, by the limits' names in the spec.
    """

    name: str
    dataset: str
    champion: str | None
    aliases: Mapping[str, str] | None
    floor: str | None
    debts: tuple[str, ...]
    budget: Mapping[str, Spending]


@dataclass(frozen=True)
class DatasetLine:
    """A dataset and its current version; None before the first ingest."""

    name: str
    version: str | None
    ordinal: int | None
    commit: str | None
    rows: int
    shards: int
    versions: int
    suppressed: int


@dataclass(frozen=True)
class Overview:
    """The JSON of `expunge status --json`."""

    at: datetime
    requests: Mapping[str, Mapping[str, int]]
    batches: Mapping[str, Any]
    models: tuple[ModelLine, ...]
    datasets: tuple[DatasetLine, ...]
    approvals: tuple[Approval, ...] = ()


def register(root: typer.Typer) -> None:
    """`expunge status`."""
    command(root, reads_json=True)(status)


def status(session: Session) -> None:
    """Requests by state and deadline, batches, models with floor and debts, datasets."""
    workspace = session.workspace()
    with session.progress() as progress, session.ledger() as ledger:
        found = ledger.status()
        if found.models:
            progress("status", "asking the model registry")
        overview = look(session, workspace, found, ledger.batches())
    if session.json:
        print_json(asdict(overview))
    else:
        _print(session, overview)


def look(
    session: Session, workspace: Workspace, found: Status, batches: Sequence[Batch]
) -> Overview:
    """Put ledger, specs and registry side by side."""
    under_way = [b for b in batches if b.state not in ("finished", "failed")]
    return Overview(
        at=found.at,
        requests={"by_state": dict(found.requests), "by_deadline": asdict(found.deadlines)},
        batches={
            "by_state": dict(found.batches),
            "under_way": [_batch(each) for each in under_way],
            "last": _batch(batches[-1]) if batches else None,
        },
        models=_models(session, workspace, found),
        datasets=_datasets(workspace, found),
        approvals=found.approvals,
    )


def _batch(batch: Batch) -> dict[str, Any]:
    return {
        "id": batch.id,
        "dataset": batch.dataset,
        "state": batch.state,
        "created_at": batch.created_at,
        "reason": batch.reason,
    }


def _models(session: Session, workspace: Workspace, found: Status) -> tuple[ModelLine, ...]:
    known = {each.model: each for each in found.models}
    aliases = _aliases(session, workspace, list(known))
    specs = {spec.name: spec for spec in workspace.models()}
    datasets = {name: spec.dataset for name, spec in specs.items()}
    datasets |= {name: each.dataset for name, each in known.items()}
    return tuple(
        ModelLine(
            name=name,
            dataset=datasets[name],
            champion=known[name].champion if name in known else None,
            aliases=None if aliases is None else aliases.get(name, {}),
            floor=known[name].floor if name in known else None,
            debts=known[name].debts if name in known else (),
            budget=spending(specs.get(name), known.get(name)),
        )
        for name in sorted(datasets)
    )


def _aliases(
    session: Session, workspace: Workspace, models: list[str]
) -> dict[str, dict[str, str]] | None:
    """Aliases by model, as the registry has them now; asked only where a model has a version."""
    if not models:
        return {}
    from expunge.lineage import Registry

    registry = Registry.open(workspace.settings)
    try:
        asked = {
            model: {alias: registry.alias(model, alias) for alias in ("champion", "candidate")}
            for model in models
        }
    except TransientError as error:
        explain(error, as_json=session.json)
        return None
    return {
        model: {alias: version for alias, version in found.items() if version}
        for model, found in asked.items()
    }


def _datasets(workspace: Workspace, found: Status) -> tuple[DatasetLine, ...]:
    known = {each.dataset: each for each in found.datasets}
    names = sorted({spec.name for spec in workspace.datasets()} | set(known))
    lines = []
    for name in names:
        held = known.get(name)
        version = held.version if held else None
        lines.append(
            DatasetLine(
                name=name,
                version=version.md5 if version else None,
                ordinal=version.ordinal if version else None,
                commit=version.commit if version else None,
                rows=version.rows if version else 0,
                shards=version.shards if version else 0,
                versions=held.versions if held else 0,
                suppressed=held.suppressed if held else 0,
            )
        )
    return tuple(lines)


def _print(session: Session, overview: Overview) -> None:
    side_by_side = Table.grid(padding=(0, 3))
    side_by_side.add_row(*_requests(overview), _batches(overview))
    asked = [_approval_table(overview)] if overview.approvals else []
    budgets = budget_tables({model.name: model.budget for model in overview.models})
    print_parts(
        session.out,
        side_by_side,
        *asked,
        _model_table(overview),
        *budgets,
        _dataset_table(overview),
    )


def _requests(overview: Overview) -> tuple[Table, Table]:
    states = table("requests", "", right=[""])
    for name, count in overview.requests["by_state"].items():
        states.add_row(state(name), f"{count:,}")
    if not overview.requests["by_state"]:
        states.add_row("none yet", "")
    deadlines = table("open, by deadline", "", right=[""])
    styles = {"on_time": "", "due_in_5_days": "yellow", "past_due": "bold red"}
    for name, count in overview.requests["by_deadline"].items():
        style = styles[name] if count else ""
        deadlines.add_row(Text(name.replace("_", " "), style), Text(f"{count:,}", style))
    return states, deadlines


def _batches(overview: Overview) -> Table:
    rows = table("batches", "", right=[""])
    for name, count in overview.batches["by_state"].items():
        rows.add_row(state(name), f"{count:,}")
    if not overview.batches["by_state"]:
        rows.add_row("none yet", "")
    for batch in overview.batches["under_way"]:
        rows.add_row(Text(batch["id"], "yellow"), "open")
    return rows


def _approval_table(overview: Overview) -> Table:
    rows = table("waits for approval", "version", "in place of", "batch", "until (UTC)")
    for asked in overview.approvals:
        until = Text(minute(asked.expires_at), "yellow")
        rows.add_row(asked.model, asked.version, asked.base, asked.batch_id, until)
    return rows


def _model_table(overview: Overview) -> Table:
    rows = table("model", "dataset", "champion", "floor", "debts")
    for model in overview.models:
        debts = plural(len(model.debts), "batch", "batches") if model.debts else "none"
        rows.add_row(
            model.name,
            model.dataset,
            _champion(model),
            model.floor or "-",
            Text(debts, "yellow" if model.debts else ""),
        )
    if not overview.models:
        rows.add_row("none", *[""] * 4)
    return rows


def _champion(model: ModelLine) -> str:
    """The alias as the registry has it; both, where the ledger recorded another one."""
    if model.aliases is None:
        return f"{model.champion or 'none'} (registry not reached)"
    served = model.aliases.get("champion")
    if served == model.champion:
        return served or "none"
    return f"{served or 'none'} (ledger: {model.champion or 'none'})"


def _dataset_table(overview: Overview) -> Table:
    numbers = ["rows", "shards", "suppressed"]
    rows = table("dataset", "version", "DVC", "commit", *numbers, right=numbers)
    for each in overview.datasets:
        rows.add_row(
            each.name,
            str(each.ordinal or "none"),
            short(each.version) if each.version else "-",
            short(each.commit) if each.commit else "-",
            f"{each.rows:,}",
            f"{each.shards:,}",
            f"{each.suppressed:,}",
        )
    if not overview.datasets:
        rows.add_row("none", *[""] * 6)
    return rows
