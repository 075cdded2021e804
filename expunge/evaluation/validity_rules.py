"""The tables behind `validity`: what stands in for an exact retrain, which metric needs what.

`REFERENCE_RULES` names the estimate of a retrain that is valid for a kind of request and a sample.
`VALIDITY_RULES` says for each metric and kind of request what it is compared with and what that
takes; a metric without a rule for a request is in `NEVER`, with the reason.

Membership of people never seen is 0.5 by exchangeability: a set of people that no model trained on
is like another such set, held out. For rows drawn at random that needs no more than rows; whole
people differ from each other, so the spread between people must be known, from at least 20 others.
Where the inputs alone tell the two sides apart they are not exchangeable (method.md, section 3).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from expunge.evaluation.metric import ReferenceKind, RequestKind

Statistic: TypeAlias = Literal["accuracy", "membership"]
Reference: TypeAlias = ReferenceKind | Literal["null_control"]
REQUESTS: tuple[RequestKind, ...] = ("rows", "subjects", "class")

MEMBERSHIP_ROWS = 50  # a true retrain passes δ = .15 in 93 % of cases
MEMBERSHIP_HELD_OUT = 20  # a ranking has two sides, whatever it is compared with
RATIO_ROWS = 60  # three errors of a gap of 13 points (champion 100 %, retrain 87 %) are 13 points
RELEARN_ROWS = 100  # ten rows to tune on, ninety to watch
DAMAGE_ROWS = 100  # one held-out row is then at most the margin, one point


@dataclass(frozen=True)
class ReferenceRule:
    """One line of the table: the estimate, and the held-out sample it needs."""

    request: RequestKind
    statistic: Statistic
    kind: ReferenceKind
    min_subjects: int
    min_rows: int
    why: str


@dataclass(frozen=True)
class ValidityRule:
    """A metric of a request is valid against `reference` where the sample is at least this.

    `alike`: a classifier on the inputs alone must not tell forget from held-out rows.
    """

    metric: str
    request: RequestKind
    reference: Reference | None
    why: str
    forget_rows: int = 1
    held_out_subjects: int = 0
    held_out_rows: int = 0
    alike: bool = False


REFERENCE_RULES: tuple[ReferenceRule, ...] = (
    ReferenceRule("rows", "accuracy", "class_matched", 0, 100, "held-out rows of the same classes"),
    ReferenceRule("rows", "membership", "half", 0, 50, "random rows rank like held-out ones"),
    ReferenceRule(
        "subjects", "accuracy", "leave_subject_out", 20, 0, "other people, nobody trained on"
    ),
    ReferenceRule(
        "subjects", "membership", "leave_subject_out", 20, 0, "people rank like other people"
    ),
    ReferenceRule("class", "accuracy", "zero", 0, 0, "a class never seen is never named"),
    ReferenceRule("class", "membership", "half", 0, 50, "held-out rows of the class rank alike"),
)

NEVER: Mapping[tuple[str, RequestKind], str] = {
    **{
        (metric, "class"): "the control loses the class as well, so that what was asked for is "
        "subtracted; read forget_accuracy and relearn_ratio"
        for metric in ("ud_calibrated", "nud")
    },
    **{
        (metric, "class"): "real labels have no classes; of classes read forget_accuracy and "
        "generalisation"
        for metric in ("forget_error", "relative_generalisation")
    },
    ("probe_hard_row_auc", "class"): "a fresh probe is taught on retained rows, none of them of "
    "the class, and cannot name it whatever the features know; read relearn_ratio",
}


def reference_kind(
    statistic: Statistic,
    request: RequestKind,
    *,
    has_retrain: bool,
    held_out_subjects: int,
    held_out_rows: int,
) -> ReferenceKind | None:
    """The valid reference for a statistic of a request, or None: then exact retrain decides."""
    if has_retrain:
        return "exact_retrain"
    for rule in REFERENCE_RULES:
        if (rule.request, rule.statistic) == (request, statistic):
            enough = held_out_subjects >= rule.min_subjects and held_out_rows >= rule.min_rows
            return rule.kind if enough else None
    return None


def _against(
    reference: Reference | None,
    metric: str,
    why: str,
    *,
    forget_rows: int = 1,
    held_out_rows: int = 0,
) -> Iterator[ValidityRule]:
    """The same rule for every kind of request that the metric can answer."""
    for request in REQUESTS:
        if (metric, request) not in NEVER:
            yield ValidityRule(metric, request, reference, why, forget_rows, 0, held_out_rows)


def _estimated(metric: str, statistic: Statistic, forget_rows: int = 1) -> Iterator[ValidityRule]:
    """A rule per line of `REFERENCE_RULES`.

    Whole people may differ in their inputs, and an accuracy's error holds that; a ranking, a
    degree less its control, or an accuracy of the same classes takes the two sides for samples of
    one population.
    """
    calibrated = metric in {"ud_calibrated", "nud"}
    lost = "a retrain would lose what the champion has on G(D_f) more than on G(H_f)"
    for rule in REFERENCE_RULES:
        if rule.statistic == statistic and (metric, rule.request) not in NEVER:
            yield ValidityRule(
                metric,
                rule.request,
                rule.kind,
                lost if calibrated else rule.why,
                forget_rows=1 if rule.kind == "zero" else forget_rows,
                held_out_subjects=rule.min_subjects,
                held_out_rows=rule.min_rows,
                alike=statistic == "membership" or calibrated or rule.kind == "class_matched",
            )


def _membership(metric: str) -> Iterator[ValidityRule]:
    why = "the same rows ranked by a retrain: what sets the two sides apart by nature cancels"
    rows, held_out = MEMBERSHIP_ROWS, MEMBERSHIP_HELD_OUT
    yield from _against("exact_retrain", metric, why, forget_rows=rows, held_out_rows=held_out)
    yield from _estimated(metric, "membership", MEMBERSHIP_ROWS)


def _table() -> Iterator[ValidityRule]:
    same = "the retrain's accuracy on the very same rows"
    yield from _against("exact_retrain", "forget_accuracy", same)
    yield from _estimated("forget_accuracy", "accuracy")
    why = "the retrain's error on the very same rows, where labels are real numbers"
    yield from _against("exact_retrain", "forget_error", why)
    yield from _estimated("forget_error", "accuracy")
    yield from _against("exact_retrain", "forgetting_rate", same, forget_rows=RATIO_ROWS)
    yield from _estimated("forgetting_rate", "accuracy", RATIO_ROWS)
    why = "champion and candidate on the same retain rows: 1 is nothing lost; never gated"
    yield from _against(None, "memory_retention_rate", why, forget_rows=0)
    why = "champion and candidate on the same held-out rows, of classes that stay: 0 is no damage"
    yield from _against(None, "generalisation", why, forget_rows=0, held_out_rows=DAMAGE_ROWS)
    why = "errors of champion and candidate on the same held-out rows: 0 is no damage"
    lost = "relative_generalisation"
    yield from _against(None, lost, why, forget_rows=0, held_out_rows=DAMAGE_ROWS)
    for metric in ("auc", "hard_row_auc"):
        yield from _membership(metric)
    # Every shadow model saw the class, so none says how a model without it would score a row.
    yield from (
        rule for rule in _membership("lira_auc") if (rule.request, rule.reference) != _LIRA_OF_CLASS
    )
    why = "marks cost accuracy on rows that nobody saw, too: only a retrain says how much is right"
    yield from _against("exact_retrain", "ud", why)
    yield ValidityRule("ud", "class", "zero", "a class never seen is never named, marked or not")
    for metric, rows in (("ud_calibrated", 1), ("nud", RATIO_ROWS)):
        why = "the retrain's degree, less its control on held-out rows"
        held_out = MEMBERSHIP_HELD_OUT
        yield from _against("exact_retrain", metric, why, forget_rows=rows, held_out_rows=held_out)
        yield from _estimated(metric, "accuracy", rows)
    why = "a divergence from the retrain; beside it the floor, between two retrains"
    yield from _against("exact_retrain", "js_gap", why, held_out_rows=MEMBERSHIP_HELD_OUT)
    why = "steps that the retrain takes to learn the same rows anew"
    yield from _against("exact_retrain", "relearn_ratio", why, forget_rows=RELEARN_ROWS)
    why = "the same pipeline started from the exact retrain, which had nothing to forget"
    yield from _against("null_control", "leak", why)
    yield from _membership("probe_hard_row_auc")


_LIRA_OF_CLASS = ("class", "half")
VALIDITY_RULES: tuple[ValidityRule, ...] = tuple(_table())
METRICS: tuple[str, ...] = tuple(dict.fromkeys(rule.metric for rule in VALIDITY_RULES))
