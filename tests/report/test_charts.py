"""The small pictures of a report."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest

from expunge.lineage.style import GREEN, ORANGE, QUIET, VERMILLION
from expunge.report import MeasuredRow, charts
from tests.report.made import criterion, metric

WIDE: Any = 10**6


def xs(svg: str) -> list[float]:
    return [float(x) for x in re.findall(r'(?:x1|x2|cx)="([\d.-]+)"', svg)]


@pytest.mark.parametrize(
    ("outcome", "lower", "upper", "colour"),
    [
        ("pass", -0.03, 0.06, GREEN),
        ("inconclusive", 0.05, 0.25, ORANGE),
        ("fail", 0.2, 0.28, VERMILLION),
        ("inconclusive", -0.03, 0.06, QUIET),
    ],
)
def test_a_bar_has_the_colour_of_its_outcome_and_lies_on_its_side_of_the_margin(
    outcome: Any, lower: float, upper: float, colour: str
) -> None:
    found = criterion(outcome=outcome, lower=lower, upper=upper, estimate=0.5 + (lower + upper) / 2)
    svg = str(charts.criterion(found))
    bar = re.search(
        rf'x1="([\d.]+)"[^>]* x2="([\d.]+)"[^>]*stroke="{colour}" stroke-width="5"', svg
    )
    margin = re.search(r'x1="([\d.]+)"[^>]*stroke-width="2"', svg)
    assert bar is not None and margin is not None
    low, high, line = float(bar[1]), float(bar[2]), float(margin[1])
    assert (low < line, high < line) == (lower < 0.15, upper < 0.15)


def test_over_forgetting_and_a_loss_lie_to_the_right_too() -> None:
    for name in ("over_forgetting", "held_out"):
        found = criterion(name, "fail", estimate=0.25, lower=-0.3, upper=-0.2)
        assert "1.67 of the margin used, 1.33 to 2.00 by its bounds" in str(charts.criterion(found))


def test_nothing_leaves_the_picture_however_far_off_it_is() -> None:
    for sign in (1, -1):
        far = criterion(outcome="fail", estimate=sign * WIDE, lower=sign * WIDE, upper=sign * WIDE)
        svg = str(charts.criterion(far))
        assert all(0 <= x <= 320 for x in xs(svg))
        assert "<polygon" in svg and "<circle" not in svg


def test_what_has_no_bounds_or_no_value_has_no_picture() -> None:
    assert charts.criterion(criterion("each_person", lower=math.nan, upper=math.nan)) == ""
    assert charts.metric(MeasuredRow(metric(value=math.nan), None, None, "")) == ""


def test_champion_candidate_and_what_is_expected_stand_in_their_order() -> None:
    row = MeasuredRow(metric(value=0.6), metric(value=0.76), True, "")
    svg = str(charts.metric(row))
    before, now = (float(x) for x in re.findall(r'cx="([\d.]+)"', svg))
    (expected,) = (float(x) for x in re.findall(r'x1="([\d.]+)"[^>]*dasharray="3 2"', svg))
    assert expected < now < before
    assert all(0 <= x <= 132 for x in xs(svg))
