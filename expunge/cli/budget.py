"""Edit budgets in `expunge status`: what edits spent since the last exact model, and of what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from expunge.cli.output import table

if TYPE_CHECKING:
    from expunge.requests import ModelStatus
    from expunge.specs import ModelSpec


@dataclass(frozen=True)
class Spending:
    """What edits spent of one limit of the spec's budget; None: not known, no limit."""

    spent: float | None
    of: float | None


def spending(spec: ModelSpec | None, held: ModelStatus | None) -> dict[str, Spending]:
    """By the limits' names in the spec; nothing is spent of an exact model's."""
    limits = dict(spec.budget) if spec else {}
    spent: dict[str, float | None] = dict.fromkeys(("edits", "held_out_loss", "hard_row_auc"), 0)
    if held is not None and held.edits:
        spent = {
            "edits": held.edits,
            "held_out_loss": held.held_out_loss,
            "hard_row_auc": held.hard_row_excess,
        }
    return {name: Spending(used, limits.get(name)) for name, used in spent.items()}


def budget_tables(models: Mapping[str, Mapping[str, Spending]]) -> list[Table]:
    """A table of the models that have a limit; none where no model has."""
    numbers = ["edits", "held-out loss", "hard-row AUC"]
    rows = table("edit budget", *numbers, right=numbers)
    for name, budget in models.items():
        if any(each.of is not None for each in budget.values()):
            rows.add_row(name, *(_cell(each) for each in budget.values()))
    return [rows] if rows.row_count else []


def _cell(each: Spending) -> Text:
    spent, of = ("?" if number is None else f"{number:.3g}" for number in (each.spent, each.of))
    if each.of is None:
        return Text(spent)
    over = each.spent is not None and each.spent >= each.of
    return Text(f"{spent} of {of}", "yellow" if over else "")
