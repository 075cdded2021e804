"""Every line of the validity table, and its law: more to measure with never makes it worse."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expunge.evaluation import EvaluationError, reference_kind
from expunge.evaluation.validity import validity, validity_markdown, validity_table
from expunge.evaluation.validity_rules import (
    METRICS,
    NEVER,
    REFERENCE_RULES,
    REQUESTS,
    VALIDITY_RULES,
    ValidityRule,
)

ASKED = (
    "forget_accuracy",
    "forget_error",
    "forgetting_rate",
    "memory_retention_rate",
    "generalisation",
    "relative_generalisation",
    "auc",
    "hard_row_auc",
    "lira_auc",
    "ud",
    "ud_calibrated",
    "nud",
    "js_gap",
    "relearn_ratio",
    "leak",
    "probe_hard_row_auc",
)
MEMBERSHIP = ("auc", "hard_row_auc", "lira_auc", "probe_hard_row_auc")
PLENTY: dict[str, Any] = {
    "has_retrain": False,
    "has_null": False,
    "held_out_subjects": 500,
    "held_out_rows": 5_000,
    "forget_rows": 1_000,
    "inputs_differ": False,
}


def reference(metric: str, request: str, **changes: Any) -> str | None:
    found = validity(metric, request, **{**PLENTY, **changes})  # type: ignore[arg-type]
    return (found.reference or "none") if found.valid else None


def exactly(rule: ValidityRule) -> dict[str, Any]:
    """The smallest sample that satisfies a rule, and no more."""
    return {
        "has_retrain": rule.reference == "exact_retrain",
        "has_null": rule.reference == "null_control",
        "held_out_subjects": rule.held_out_subjects,
        "held_out_rows": rule.held_out_rows,
        "forget_rows": rule.forget_rows,
        "inputs_differ": not rule.alike,
    }


def named(rule: ValidityRule) -> str:
    return f"{rule.metric}-{rule.request}-{rule.reference}"


EVERY_RULE = pytest.mark.parametrize("rule", VALIDITY_RULES, ids=named)


def test_every_metric_and_request_has_rules_or_a_reason_never_to_be_used() -> None:
    assert METRICS == ASKED
    ruled = {(rule.metric, rule.request) for rule in VALIDITY_RULES}
    assert ruled.isdisjoint(NEVER)
    assert ruled | set(NEVER) == set(product(METRICS, REQUESTS))
    keys = [(rule.metric, rule.request, rule.reference) for rule in VALIDITY_RULES]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize(
    ("metric", "rows", "subjects", "class_"),
    [
        ("forget_accuracy", "class_matched", "leave_subject_out", "zero"),
        ("forget_error", "class_matched", "leave_subject_out", None),
        ("forgetting_rate", "class_matched", "leave_subject_out", "zero"),
        ("memory_retention_rate", "none", "none", "none"),
        ("generalisation", "none", "none", "none"),
        ("relative_generalisation", "none", "none", None),
        ("auc", "half", "leave_subject_out", "half"),
        ("hard_row_auc", "half", "leave_subject_out", "half"),
        ("lira_auc", "half", "leave_subject_out", None),
        ("ud", None, None, "zero"),
        ("ud_calibrated", "class_matched", "leave_subject_out", None),
        ("nud", "class_matched", "leave_subject_out", None),
        ("js_gap", None, None, None),
        ("relearn_ratio", None, None, None),
        ("leak", None, None, None),
        ("probe_hard_row_auc", "half", "leave_subject_out", None),
    ],
)
def test_what_each_metric_is_read_against_without_a_retrain(
    metric: str, rows: str | None, subjects: str | None, class_: str | None
) -> None:
    assert [reference(metric, request) for request in REQUESTS] == [rows, subjects, class_]


@pytest.mark.parametrize("metric", ASKED)
@pytest.mark.parametrize("request_kind", REQUESTS)
def test_a_retrain_is_preferred_wherever_it_helps(metric: str, request_kind: str) -> None:
    found = reference(metric, request_kind, has_retrain=True)
    if (metric, request_kind) in NEVER or metric == "leak":
        assert found is None
    elif metric in {"memory_retention_rate", "generalisation", "relative_generalisation"}:
        assert found == "none"
    else:
        assert found == "exact_retrain"


def test_a_leak_needs_the_null_control_and_nothing_else_does() -> None:
    with_null = {metric: reference(metric, "rows", has_null=True) for metric in ASKED}
    without = {metric: reference(metric, "rows") for metric in ASKED}
    assert with_null == {**without, "leak": "null_control"}


@EVERY_RULE
def test_a_rule_holds_at_its_own_limits(rule: ValidityRule) -> None:
    found = validity(rule.metric, rule.request, **exactly(rule))
    assert found.valid
    assert found.reference == rule.reference
    assert found.why.endswith(rule.why)


@EVERY_RULE
def test_a_rule_fails_just_below_any_of_its_limits_and_says_which(rule: ValidityRule) -> None:
    limits = exactly(rule)
    others = [
        each
        for each in VALIDITY_RULES
        if (each.metric, each.request) == (rule.metric, rule.request) and each != rule
    ]
    for name in ("forget_rows", "held_out_subjects", "held_out_rows"):
        if limits[name] == 0:
            continue
        found = validity(rule.metric, rule.request, **{**limits, name: limits[name] - 1})
        if any(getattr(each, name) < limits[name] for each in others) and found.valid:
            assert found.reference != rule.reference
        else:
            assert not found.valid
            assert found.reference is None
            assert f"{limits[name]} " in found.why
            assert f"({limits[name] - 1} there)" in found.why


@EVERY_RULE
def test_a_rule_fails_without_its_reference_and_with_inputs_that_differ(rule: ValidityRule) -> None:
    limits = exactly(rule)
    for name, words in (
        ("has_retrain", "an exact retrain"),
        ("has_null", "a NULL control"),
        ("inputs_differ", "inputs that do not tell forget from held-out rows"),
    ):
        needed = rule.alike if name == "inputs_differ" else limits[name]
        if needed:
            found = validity(rule.metric, rule.request, **{**limits, name: not limits[name]})
            assert not (found.valid and found.reference == rule.reference)
            assert found.valid or words in found.why


@pytest.mark.parametrize("metric", MEMBERSHIP)
@pytest.mark.parametrize("request_kind", REQUESTS)
def test_membership_is_invalid_where_the_inputs_alone_tell_the_sides_apart(
    metric: str, request_kind: str
) -> None:
    blind = {**PLENTY, "inputs_differ": True}
    assert not validity(metric, request_kind, **blind).valid  # type: ignore[arg-type]
    if (metric, request_kind) not in NEVER:
        found = validity(metric, request_kind, **{**blind, "has_retrain": True})  # type: ignore[arg-type]
        assert found.valid
        assert "so only the difference counts" in found.why


@pytest.mark.parametrize("pair", NEVER, ids="-".join)
def test_what_is_never_valid_says_what_to_read_instead(pair: tuple[str, Any]) -> None:
    found = validity(*pair, **{**PLENTY, "has_retrain": True, "has_null": True})
    assert not found.valid
    assert "read " in found.why


def test_what_is_missing_is_said_once_and_the_ways_out_are_told_apart() -> None:
    none = {name: value if isinstance(value, bool) else 0 for name, value in PLENTY.items()}
    assert validity("auc", "rows", **none).why == (
        "it needs 50 forget rows (0 there), and either 20 held-out rows (0 there) and an exact "
        "retrain, or 50 held-out rows (0 there)"
    )
    assert validity("js_gap", "class", **PLENTY).why.startswith("it needs an exact retrain (")


@given(
    metric=st.sampled_from(("forget_accuracy", "auc", "hard_row_auc")),
    request_kind=st.sampled_from(REQUESTS),
    people=st.integers(0, 40),
    extra=st.integers(0, 200),
    has_retrain=st.booleans(),
)
def test_the_reference_is_the_one_that_evaluation_uses(
    metric: str, request_kind: Any, people: int, extra: int, has_retrain: bool
) -> None:
    sample = {
        "has_retrain": has_retrain,
        "held_out_subjects": people,
        "held_out_rows": people + extra,
    }
    found = validity(metric, request_kind, **{**PLENTY, **sample})
    statistic = "accuracy" if metric == "forget_accuracy" else "membership"
    used = reference_kind(statistic, request_kind, **sample)  # type: ignore[arg-type]
    if found.valid:
        assert found.reference == used
    else:  # with a retrain, a ranking still needs rows on its other side
        assert used is None or (used == "exact_retrain" and sample["held_out_rows"] < 20)


COUNTS = st.integers(0, 150)
FLAGS = st.booleans()
SAMPLES = st.fixed_dictionaries(
    {
        "has_retrain": FLAGS,
        "has_null": FLAGS,
        "held_out_subjects": COUNTS,
        "held_out_rows": COUNTS,
        "forget_rows": COUNTS,
        "inputs_differ": FLAGS,
    }
)


@given(st.sampled_from(METRICS), st.sampled_from(REQUESTS), SAMPLES, SAMPLES)
def test_more_to_measure_with_never_makes_a_valid_metric_invalid(
    metric: str, request_kind: Any, less: dict[str, Any], more: dict[str, Any]
) -> None:
    better = {
        name: min(less[name], more[name])
        if name == "inputs_differ"
        else max(less[name], more[name])
        for name in less
    }
    if validity(metric, request_kind, **less).valid:
        assert validity(metric, request_kind, **better).valid


def test_an_unknown_metric_or_request_is_refused_with_the_known_ones() -> None:
    with pytest.raises(EvaluationError, match="hard_row_auc"):
        validity("f1", "rows", **PLENTY)
    with pytest.raises(EvaluationError, match="subjects"):
        validity("auc", "people", **PLENTY)  # type: ignore[arg-type]


def test_the_table_shows_every_rule_once_and_fits_markdown() -> None:
    table = validity_table()
    shown = sum(len(row.requests.split(", ")) for row in table)
    assert shown == len(VALIDITY_RULES) + len(NEVER)
    assert {row.metric for row in table} == set(ASKED)
    lines = validity_markdown().splitlines()
    assert len(lines) == len(table) + 2
    assert {line.count("|") for line in lines} == {6}
    auc = next(row for row in table if row.metric == "auc" and row.requests == "rows")
    assert (auc.reference, auc.why) == ("0.5", "random rows rank like held-out ones")
    assert auc.needs.startswith("50 forget rows, 50 held-out rows, inputs that")


def test_estimates_ask_for_the_sample_of_the_reference_rules() -> None:
    estimates = {(rule.request, rule.kind): rule for rule in REFERENCE_RULES}
    for rule in VALIDITY_RULES:
        if (rule.request, rule.reference) in estimates and rule.metric != "ud":
            line = estimates[rule.request, rule.reference]  # type: ignore[index]
            assert (rule.held_out_subjects, rule.held_out_rows) == (
                line.min_subjects,
                line.min_rows,
            )


def test_the_guide_shows_the_table_as_it_is() -> None:
    guide = Path(__file__).parents[2] / "docs" / "evaluation.md"
    assert validity_markdown() in guide.read_text()
