"""What MLflow's page says of a candidate before anybody clicks: the verdict, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from expunge.evaluation import Evaluation
from expunge.line.attempt import Attempt

_SAID = {"pass": "Passed", "fail": "Refused", "inconclusive": "Not decided"}
_MARK = {"pass": "✓", "fail": "✗", "inconclusive": "?"}
_LEVEL = {"classification": "accuracy", "regression": "mean absolute error"}


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
        "Champion → candidate, and what a model that never saw these people would have:",
        "",
        *(_numbers(evaluation, name, words) for name, words in _shown(evaluation)),
    ]
    return "\n".join(lines)


def _shown(evaluation: Evaluation) -> list[tuple[str, str]]:
    """The metrics that people look at first, and what they are called."""
    levels = [
        (evaluation.level(split).name, f"{_LEVEL[evaluation.task]} on {rows} rows")
        for split, rows in (("forget", "forgotten"), ("held_out", "held-out"))
    ]
    return [*levels, ("hard_row_auc", "AUC on hard rows")]


def _numbers(evaluation: Evaluation, name: str, words: str) -> str:
    """One line of a list: MLflow shows the cells of a table without a space between them."""
    after, before = evaluation.metric(name), evaluation.metric(f"{name}_before")
    form = ".4g" if name.endswith("_error") else ".3f"
    champion, candidate = (
        "–" if metric.undefined else f"{metric.value:{form}} ± {metric.se:{form}}"
        for metric in (before, after)
    )
    expected = "" if after.reference is None else f" (expected {after.reference:{form}})"
    return f"- {words}: {champion} → **{candidate}**{expected}"
