"""What MLflow's page says of a candidate before anybody clicks: the verdict, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from expunge.evaluation import Evaluation
from expunge.line.attempt import Attempt

_SAID = {"pass": "Passed", "fail": "Refused", "inconclusive": "Not decided"}
_MARK = {"pass": "✓", "fail": "✗", "inconclusive": "?"}
_SHOWN = {
    "forget_accuracy": "accuracy on forgotten rows",
    "held_out_accuracy": "accuracy on held-out rows",
    "hard_row_auc": "AUC on hard rows",
}


def description(attempt: Attempt, judged: Mapping[str, Any], evaluation: Evaluation) -> str:
    """The verdict, why criterion by criterion, and the numbers that it rests on."""
    outcome, strategy = judged["outcome"], judged["strategy"]
    record = judged.get("qualification")
    qualified = f", qualified by audit record {record}" if record is not None else ""
    lines = [
        f"**{_SAID[outcome]}{qualified}: `{strategy}`** on version {attempt.base}, "
        f"batch `{attempt.batch_id}`.",
        "",
        *(f"- {_MARK[each['outcome']]} {each['words']}" for each in judged["criteria"]),
        "",
        "| | before | after | reference |",
        "|---|---|---|---|",
        *(_row(evaluation, name, words) for name, words in _SHOWN.items()),
    ]
    return "\n".join(lines)


def _row(evaluation: Evaluation, name: str, words: str) -> str:
    after, before = evaluation.metric(name), evaluation.metric(f"{name}_before")
    reference = "–" if after.reference is None else f"{after.reference:.3f}"
    values = [
        "–" if metric.undefined else f"{metric.value:.3f} ± {metric.se:.3f}"
        for metric in (before, after)
    ]
    return f"| {words} | {' | '.join(values)} | {reference} |"
