"""`expunge audit`: what each strategy of a model's ladder achieves on mock requests."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from expunge.cli.command import command
from expunge.cli.output import plural, print_json, print_parts, state
from expunge.cli.session import Session

if TYPE_CHECKING:
    from expunge.line import AuditReport
    from expunge.requests import MockKind, Qualification


MILLION = 1_000_000


class Requests(StrEnum):
    """Kinds of mock requests."""

    SUBJECTS = "subjects"
    ROWS = "rows"
    CLASS = "class"
    ALL = "all"

    @property
    def kinds(self) -> tuple[MockKind, ...]:
        """The kinds to draw."""
        if self is Requests.ALL:
            return "subjects", "rows", "class"
        return (self.value,)  # type: ignore[return-value]  # a StrEnum's value is a str


def register(root: typer.Typer) -> None:
    """`expunge audit`."""
    command(root, reads_json=True)(audit)


def audit(
    session: Session,
    model: Annotated[str, typer.Argument(metavar="MODEL", show_default=False)],
    *,
    requests: Annotated[
        Requests, typer.Option(help="Whole people, random rows, one class.")
    ] = Requests.ALL,
    rows: Annotated[int, typer.Option(min=300, help="Rows to forget, at least.")] = 300,
    draws: Annotated[int, typer.Option(min=1, help="Mock requests of each kind.")] = 3,
    with_retrain: Annotated[
        bool, typer.Option("--with-retrain", help="Exact retrains of each, NULL, noise floor.")
    ] = False,
) -> None:
    """Try a model's strategies on mock requests; nobody is erased, nothing is promoted."""
    with session.line() as line:
        from expunge.line import audit as audit_model

        report = audit_model(
            line,
            model,
            requests=requests.kinds,
            rows=rows,
            draws=draws,
            with_retrain=with_retrain,
        )
    if session.json:
        print_json(report.to_json())
    else:
        _print(session, report)


def _print(session: Session, report: AuditReport) -> None:
    out = session.out
    out.print(
        f"{report.model} version {report.version}: {plural(report.draws, 'mock request')} of each "
        f"kind, at least {report.rows:,} rows each; mean ± spread over them.",
        soft_wrap=True,
    )
    out.print()
    print_parts(out, *(_kind(report, each) for each in _kinds(report)))
    for record in report.records:
        if record.outcome != "pass":
            said = next(v for v in record.metrics["verdicts"] if v["outcome"] == record.outcome)
            out.print(f"\nRecord {record.id}, {record.strategy}: {said['why']}", soft_wrap=True)
    for skipped in report.skipped:
        out.print(f"\nNo mock request of kind {skipped.request}: {skipped.why}", soft_wrap=True)


def _kinds(report: AuditReport) -> list[MockKind]:
    return list(dict.fromkeys(record.request for record in report.records))


def _kind(report: AuditReport, kind: MockKind) -> Table:
    """Narrower than other tables, so that names stay whole in 80 columns."""
    rows = Table(
        box=None,
        padding=(0, 2, 0, 0),
        pad_edge=False,
        title=kind,
        title_justify="left",
        title_style="bold",
        header_style="cyan",
    )
    for column in ("#", "strategy", "gate"):
        rows.add_column(column, no_wrap=True)
    for column in ("FR_v", "hard-row", "GEN", "passes"):
        rows.add_column(column, justify="right", no_wrap=True)
    for record in report.records:
        if record.request == kind:
            rows.add_row(str(record.id), record.strategy, state(record.outcome), *_numbers(record))
    return rows


def _numbers(record: Qualification) -> tuple[str, ...]:
    found: dict[str, dict[str, Any]] = record.metrics["metrics"]
    cost = found["cost"]["mean"] if "cost" in found else None
    return (
        _spread(found.get("forgetting_rate_v")),
        _spread(found.get("hard_row_auc")),
        _spread(found.get("generalisation", found.get("relative_generalisation")), sign="+"),
        "-" if cost is None else f"{cost / MILLION:,.1f}M" if cost >= MILLION else f"{cost:,.0f}",
    )


def _spread(metric: dict[str, Any] | None, sign: str = "") -> str:
    """Mean ± standard deviation over the draws, `-` where there is none."""
    if metric is None or metric["mean"] is None:
        return "-"
    text = f"{metric['mean']:{sign}.2f}"
    spread = "" if metric["sd"] is None else f"±{metric['sd']:.2f}"
    return (text + spread).replace("0.", ".")
