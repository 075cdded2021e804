"""How a report writes numbers."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone

import pytest

from expunge.report import numbers
from tests.report.made import metric


@pytest.mark.parametrize(
    ("name", "value", "written"),
    [
        ("hard_row_auc", 0.5086, "0.509"),
        ("forget_accuracy", 0.832, "83.2 %"),
        ("generalisation", -0.02, "−2.0 points"),
        ("generalisation", 0.0, "0 points"),
        ("ud", math.nan, "–"),
        ("relative_generalisation", -0.0512, "−5.1 %"),
        ("forget_error", 41.2749, "41.27"),
        ("held_out_error", 0.00123456, "0.001235"),
        ("retain_error", 123_456.7, "123,457"),
    ],
)
def test_a_metric_is_written_in_its_unit(name: str, value: float, written: str) -> None:
    assert numbers.value(metric(name, value), value) == written


def test_an_interval_has_the_unit_of_its_metric() -> None:
    assert numbers.interval(metric("forget_accuracy", 0.8, low=0.75, high=0.86)) == "75.0 to 86.0"
    assert numbers.interval(metric("generalisation", low=-0.04, high=0.001)) == "−4.0 to +0.1"
    assert numbers.interval(metric(low=math.nan)) == ""
    assert (
        numbers.interval(metric("forget_error", low=9.876543, high=12_345.6)) == "9.877 to 12,346"
    )
    relative = metric("relative_generalisation", low=-0.04, high=0.001)
    assert numbers.interval(relative) == "−4.0 to +0.1"


def test_a_share_that_is_not_nothing_never_shows_as_nothing() -> None:
    assert numbers.share(1, 10_000_000) == "under 0.1 %"
    assert [numbers.share(part, 1000) for part in (0, 5, 700)] == ["0.0 %", "0.5 %", "70 %"]
    assert numbers.share(1, 0) == "–"


def test_times_are_told_in_utc_and_spans_by_their_days() -> None:
    late = datetime(2026, 11, 21, 23, 30, tzinfo=timezone(-timedelta(hours=2)))
    assert numbers.minute(late) == "22 Nov 2026, 01:30 UTC"
    first = datetime(2026, 11, 21, tzinfo=UTC)
    assert numbers.span(first, first + timedelta(hours=5)) == "21 Nov 2026"
    assert numbers.span(first, late) == "21 Nov 2026 to 22 Nov 2026"
    assert [numbers.seconds(each) for each in (0.4, 95, 179.8, 600, 9000)] == [
        *("0.4 s", "95.0 s", "3 min 0 s", "10 min", "2.5 h")
    ]
