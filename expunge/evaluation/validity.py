"""Which metric says something about which request, read against what, and why.

The rules are a table (`validity_rules.py`). Where none holds the number may still be reported, but
no candidate is judged by it, and exact retrain decides (method.md, section 3). Where a classifier
that sees the inputs alone tells forget from held-out rows, membership metrics are invalid: only the
difference to an exact retrain, on the very same rows, is left.

Law: more rows, more people, a retrain, a NULL control or inputs that are alike never make a valid
metric invalid.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from expunge.evaluation.metric import EvaluationError, RequestKind
from expunge.evaluation.validity_rules import (
    METRICS,
    NEVER,
    REQUESTS,
    VALIDITY_RULES,
    Reference,
    ValidityRule,
)

REFERENCE_NAMES: dict[Reference | None, str] = {
    "exact_retrain": "exact retrain",
    "null_control": "NULL control",
    "class_matched": "held-out rows, class-matched",
    "leave_subject_out": "other people, leave-subject-out",
    "zero": "0",
    "half": "0.5",
    None: "none",
}
_DIFFERENCE = "the inputs alone tell the two sides apart, so only the difference counts: "


@dataclass(frozen=True)
class Validity:
    """Whether a metric may be judged by, what it is read against, and why (or why not).

    `reference` is None where the metric needs none, and where it is not valid.
    """

    valid: bool
    reference: Reference | None
    why: str


@dataclass(frozen=True)
class ValidityRow:
    """One line of the table as a report shows it."""

    metric: str
    requests: str
    reference: str
    needs: str
    why: str


@dataclass(frozen=True)
class _Sample:
    """What there is to measure with."""

    has_retrain: bool
    has_null: bool
    held_out_subjects: int
    held_out_rows: int
    forget_rows: int
    inputs_differ: bool

    def lacks(self, rule: ValidityRule, *, counted: bool = True) -> list[str]:
        """What `rule` asks for and is not there, in words; with what is there if `counted`."""
        return [
            f"{words} ({found} there)" if counted and found is not None else words
            for words, found, enough in self._demands(rule)
            if not enough
        ]

    def _demands(self, rule: ValidityRule) -> list[tuple[str, int | None, bool]]:
        rows, people, held_out = self.forget_rows, self.held_out_subjects, self.held_out_rows
        some = f"{rule.forget_rows} forget row{'s' * (rule.forget_rows != 1)}"
        apart = "inputs that do not tell forget from held-out rows"
        return [
            (some, rows, rows >= rule.forget_rows),
            (f"{rule.held_out_subjects} held-out people", people, people >= rule.held_out_subjects),
            (f"{rule.held_out_rows} held-out rows", held_out, held_out >= rule.held_out_rows),
            ("an exact retrain", None, self.has_retrain or rule.reference != "exact_retrain"),
            ("a NULL control", None, self.has_null or rule.reference != "null_control"),
            (apart, None, not (rule.alike and self.inputs_differ)),
        ]


def validity(
    metric: str,
    request: RequestKind,
    *,
    has_retrain: bool,
    has_null: bool,
    held_out_subjects: int,
    held_out_rows: int,
    forget_rows: int,
    inputs_differ: bool,
) -> Validity:
    """Whether `metric` means anything for `request`; the first rule that holds names the reference.

    `forget_rows` and `held_out_rows` count the rows that the metric compares: for a hard-row AUC,
    the hard ones. `inputs_differ`: a classifier on the inputs alone tells the two sides apart with
    AUC > .55. A metric that is valid here can still come out undefined, for example where its
    denominator turns out too small.

    Raises:
        EvaluationError: the table has no such metric or request.
    """
    if metric not in METRICS or request not in REQUESTS:
        raise EvaluationError(
            f"The validity table has no metric {metric!r} of a request {request!r}.",
            fix=f"use one of {', '.join(METRICS)} and one of {', '.join(REQUESTS)}",
        )
    if why := NEVER.get((metric, request)):
        return Validity(False, None, why)
    sample = _Sample(
        has_retrain, has_null, held_out_subjects, held_out_rows, forget_rows, inputs_differ
    )
    rules = [rule for rule in VALIDITY_RULES if (rule.metric, rule.request) == (metric, request)]
    for rule in rules:
        if not sample.lacks(rule):
            apart = inputs_differ and rule.reference == "exact_retrain" and _two_sided(metric)
            return Validity(True, rule.reference, _DIFFERENCE * apart + rule.why)
    why = _missing([sample.lacks(rule) for rule in rules])
    return Validity(False, None, f"{why} ({rules[0].why})" if len(rules) == 1 else why)


def validity_table() -> tuple[ValidityRow, ...]:
    """The rules for a report: metric by metric, requests of the same rule in one line."""
    nothing = _Sample(False, False, 0, 0, 0, inputs_differ=True)  # lacks all that is asked for
    rows = []
    for metric in METRICS:
        ours = [rule for rule in VALIDITY_RULES if rule.metric == metric]
        for (reference, why), same in groupby(ours, lambda rule: (rule.reference, rule.why)):
            rules = list(same)
            requests = ", ".join(rule.request for rule in rules)
            needs = ", ".join(nothing.lacks(rules[0], counted=False))
            rows.append(ValidityRow(metric, requests, REFERENCE_NAMES[reference], needs, why))
        rows += [
            ValidityRow(metric, request, "not valid", "", why)
            for (name, request), why in NEVER.items()
            if name == metric
        ]
    return tuple(rows)


def validity_markdown() -> str:
    """`validity_table` as a Markdown table."""
    lines = ["| metric | request | read against | needs | why |", "|---|---|---|---|---|"]
    lines += [
        f"| {row.metric} | {row.requests} | {row.reference} | {row.needs or '–'} | {row.why} |"
        for row in validity_table()
    ]
    return "\n".join(lines) + "\n"


def _two_sided(metric: str) -> bool:
    """Whether the metric sets forget rows against held-out rows."""
    return any(rule.alike for rule in VALIDITY_RULES if rule.metric == metric)


def _missing(lacking: list[list[str]]) -> str:
    """What every rule lacks, then what else would do, as one phrase."""
    common = [each for each in lacking[0] if all(each in others for others in lacking)]
    choices = [[each for each in others if each not in common] for others in lacking]
    if not all(choices):
        return f"it needs {' and '.join(common)}"
    either = "either " * (len(choices) > 1) + ", or ".join(" and ".join(each) for each in choices)
    return "it needs " + ", and ".join(filter(None, [" and ".join(common), either]))
