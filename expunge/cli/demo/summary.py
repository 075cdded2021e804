"""What the demo says at its end: what was done, what it took, and whether it had to come out so.

The checks look at the stores again and do not trust the batch's own report.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from expunge.cli.demo.requests import Pile
from expunge.cli.demo.writers import ROWS
from expunge.cli.output import facts, plural, short, state, table
from expunge.cli.run import decision

if TYPE_CHECKING:
    from expunge.cli.imports import Imported
    from expunge.line import BatchReport, Ingested, ModelReport, Trained
    from expunge.requests import Status

PROMOTED = ("promoted", "retrained")


@dataclass(frozen=True)
class Seen:
    """What one telling of the demo saw.

    `still_there` of the `erased` people have rows left, `bystanders` of the two who stay do;
    `champion` is the registry's. `batch_seconds` is wall time, orchestrator and all.
    """

    root: Path
    tracking_uri: str
    pile: Pile
    imported: tuple[Imported, ...]
    trained: Trained
    report: BatchReport
    report_file: Path
    returned: Ingested
    batch_seconds: float
    erased: int
    still_there: int
    bystanders: int
    status: Status
    champion: str | None

    @property
    def model(self) -> ModelReport | None:
        """What the batch did to the demo's model."""
        return self.report.models[0] if self.report.models else None


@dataclass(frozen=True)
class Check:
    """Something that has to be so after the demo, and whether it is."""

    what: str
    held: bool


def checks(seen: Seen) -> tuple[Check, ...]:
    """Everything that has to be so."""
    return (*_requests(seen), *_rows(seen), *_model(seen))


def _requests(seen: Seen) -> Iterable[Check]:
    states = ", ".join(f"{count} {name}" for name, count in seen.pile.states.items())
    yield Check(
        f"every request is at its end: {states}", dict(seen.status.requests) == seen.pile.states
    )
    filed = [
        (done.accepted, done.duplicates, len(done.conflicts), len(done.rejected))
        for done in seen.imported
    ]
    wanted = [(f.accepted, f.duplicates, f.conflicts, f.rejected) for f in seen.pile.files]
    yield Check("faulty lines were told and not filed", filed == wanted)


def _rows(seen: Seen) -> Iterable[Check]:
    rows = seen.report.dataset.rows_erased
    yield Check(
        f"{seen.erased} people have no row left in any role",
        seen.still_there == 0 and rows == seen.erased * ROWS,
    )
    yield Check("people whom only faulty lines name are still there", seen.bystanders == 2)
    yield Check(
        "the erased writer's rows were refused, the newcomer's added",
        (seen.returned.suppressed, seen.returned.rows_added) == (ROWS, ROWS),
    )


def _model(seen: Seen) -> Iterable[Check]:
    model = seen.model
    outcomes = [rung.outcome for rung in model.rungs] if model else []
    yield Check("the gate refused a candidate", bool(outcomes) and outcomes[0] != "pass")
    yield Check(
        "the gate let a later one through, and it is champion",
        model is not None
        and model.decision in PROMOTED
        and outcomes[-1] == "pass"
        and seen.champion == model.version_after != seen.trained.version,
    )
    owed = [each for each in seen.status.models if each.debts or each.floor != each.champion]
    yield Check("no model owes anything, none can roll back to the old one", not owed)


def show_imported(console: Console, pile: Pile, imported: Iterable[Imported]) -> None:
    """What became of the lines of each file."""
    for file, done in zip(pile.files, imported, strict=True):
        counts = f"{done.accepted} accepted" + (
            f", {plural(done.duplicates, 'duplicate')}" if done.duplicates else ""
        )
        console.print(f"{file.path.name} ({file.regulation.upper()}): {counts}", soft_wrap=True)
        for line in done.rejected:
            console.print(f"    line {line.line} refused: {line.reason}", soft_wrap=True)
        for conflict in done.conflicts:
            console.print(
                f"    line {conflict.line} refused: {conflict.request_id} was filed with "
                "another content",
                soft_wrap=True,
            )


def show_summary(console: Console, seen: Seen, steps: Mapping[str, float]) -> None:
    """The batch, its ladder, where the time went, and where to look."""
    console.print()
    console.print(Rule(f"Summary of batch {seen.report.batch_id}", align="left", style="cyan"))
    console.print(_overview(seen))
    if seen.model is not None:
        console.print()
        console.print(_ladder(seen.model))
        console.print(f"{decision(seen.model)}")
    console.print()
    console.print(_stations(seen))
    console.print(f"the whole demo: {sum(steps.values()):.0f} s", soft_wrap=True)
    console.print()
    console.print(f"The batch's report, as JSON: {seen.report_file}", soft_wrap=True)
    console.print("Look at it:")
    for command in _look(seen):
        console.print(f"  {command}", soft_wrap=True, highlight=False)


def show_checks(console: Console, found: Iterable[Check]) -> None:
    """Each check with its mark."""
    console.print()
    for check in found:
        mark = Text("✓", "green") if check.held else Text("✗ NOT SO:", "bold red")
        console.print(Text.assemble(mark, f" {check.what}"), soft_wrap=True)


def _overview(seen: Seen) -> Table:
    report, data = seen.report, seen.report.dataset
    requests = ", ".join(f"{count} {name}" for name, count in sorted(seen.status.requests.items()))
    versions = f"{short(data.version_before)} → {short(data.version_after)}"
    return facts(
        [
            ("batch", state(report.state)),
            ("requests", requests),
            ("rows", f"{plural(data.rows_erased, 'row')} of {seen.erased} people erased"),
            ("shards", f"{data.shards_rewritten} of {data.shards_total} rewritten"),
            ("dataset", f"{data.name} {versions}"),
        ]
    )


def _ladder(model: ModelReport) -> Table:
    numbers = ["rung", "hard-row AUC", "expected", "held out, points"]
    rows = table("rung", "strategy", "gate", *numbers[1:], right=numbers, title=model.name)
    for number, rung in enumerate(model.rungs, start=1):
        auc, change = rung.metrics.get("hard_row_auc"), rung.metrics.get("generalisation")
        rows.add_row(
            str(number),
            rung.strategy,
            state(rung.outcome),
            _with_error(auc, 1),
            "-" if auc is None or auc["reference"] is None else f"{auc['reference']:.3f}",
            _with_error(change, 100),
        )
    return rows


def _with_error(metric: Mapping[str, Any] | None, unit: int) -> str:
    """`0.652 ± 0.031`; in points, `-1.2 ± 1.0`."""
    if metric is None or metric["value"] is None:
        return "-"
    value, error = unit * metric["value"], unit * (metric["se"] or 0.0)
    return f"{value:.3f} ± {error:.3f}" if unit == 1 else f"{value:+.1f} ± {error:.1f}"


def _stations(seen: Seen) -> Table:
    """Seconds of the batch: of each station, of what is around them, in all."""
    inside = dict(seen.report.seconds)
    around = max(0.0, seen.batch_seconds - sum(inside.values()))
    rows = table("station", "seconds", right=["seconds"], title="where the batch's time went")
    for station, seconds in inside.items():
        rows.add_row(station, f"{seconds:.1f}")
    rows.add_row("orchestration, outside the stations", f"{around:.1f}")
    rows.add_row("total", f"{seen.batch_seconds:.1f}", style="bold")
    return rows


def _look(seen: Seen) -> Iterable[str]:
    """Commands that show more of it; each on one line, to be copied."""
    page = ["expunge", "report", "--workspace", str(seen.root), "--html", "report.html"]
    yield shlex.join(page)
    yield shlex.join(["expunge", "status", "--workspace", str(seen.root)])
    yield shlex.join(["mlflow", "ui", "--backend-store-uri", seen.tracking_uri])
