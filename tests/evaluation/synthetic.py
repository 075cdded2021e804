"""Scores with a known AUC, grouped by subject, and evaluations made of them."""

from __future__ import annotations

import numpy as np
from scipy import stats

from expunge.evaluation import EvaluationInput, Scores, SplitScores


def scores(margin, labels=None, subjects=None, correct=None) -> Scores:
    margin = np.asarray(margin, dtype=np.float64)
    n = len(margin)
    return Scores(
        error=1.0 - (margin > 0 if correct is None else np.asarray(correct, dtype=bool)),
        margin=margin,
        loss=np.logaddexp(0.0, -margin),
        labels=np.zeros(n, dtype=np.int64) if labels is None else np.asarray(labels, np.int64),
        subjects=np.arange(n) if subjects is None else np.asarray(subjects, np.int64),
    )


def people(rng, m, rows, *, auc=0.5, icc=0.15, classes=10, labels=None) -> Scores:
    """`m` people with `rows` rows each, who beat people of AUC ½ with probability `auc`."""
    subjects = np.repeat(np.arange(m), rows)
    person = rng.normal(0, np.sqrt(icc), m)[subjects]
    margin = person + rng.normal(0, np.sqrt(1 - icc), m * rows)
    labels = rng.integers(0, classes, m * rows) if labels is None else labels
    return scores(margin + stats.norm.ppf(auc) * np.sqrt(2), labels, subjects)


def inputs(forget: Scores, held_out: Scores, **changes) -> EvaluationInput:
    """Champion and candidate alike unless changed; every row is hard."""
    given = {
        "forget": forget,
        "held_out": held_out,
        "champion_forget": forget,
        "champion_held_out": held_out,
        "retrain_forget": None,
        "retrain_held_out": None,
        "request": "subjects",
        "hard": True,
    } | changes
    hardness = 0.0 if given["hard"] else 2.0
    return EvaluationInput(
        forget=SplitScores(
            given["champion_forget"],
            given["forget"],
            given["retrain_forget"],
            np.full(len(forget), hardness),
        ),
        retain=SplitScores(held_out, held_out),
        held_out=SplitScores(
            given["champion_held_out"],
            given["held_out"],
            given["retrain_held_out"],
            np.full(len(held_out), hardness),
        ),
        request=given["request"],
    )
