"""Forgetting against cost: every strategy named once, no name over another."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest

from expunge.lineage import plots
from expunge.lineage.plots import CostPoint, Level
from tests.lineage.gallery import points, said


def label_boxes(figure: Any, names: list[str]) -> dict[str, Any]:
    """Where each name is written; the leader lines are not part of it."""
    from matplotlib.text import Annotation, Text

    figure.draw_without_rendering()
    return {
        text.get_text(): Text.get_window_extent(text)
        for text in figure.findobj(Annotation)
        if text.get_text() in names
    }


def shared(one: Any, other: Any) -> float:
    across = min(one.x1, other.x1) - max(one.x0, other.x0)
    up = min(one.y1, other.y1) - max(one.y0, other.y0)
    return max(0.0, across) * max(0.0, up)


def crowd(seed: int) -> list[CostPoint]:
    """Fifteen strategies, ten of them at the retrain's own distance."""
    draw = np.random.default_rng(seed)
    costs = 10 ** draw.uniform(-1.6, 0, 15)
    distances = np.abs(np.concatenate([draw.normal(0.02, 0.01, 10), draw.uniform(0.1, 0.4, 5)]))
    return [
        CostPoint(f"strategy number {n}", float(cost), float(distance), 0.1 * float(cost), 0.01)
        for n, (cost, distance) in enumerate(zip(costs, distances, strict=True))
    ]


@pytest.mark.parametrize("drawn", [points(), crowd(1), crowd(2)], ids=range(3))
def test_every_strategy_is_named_inside_the_axes_and_no_name_covers_another(
    drawn: list[CostPoint],
) -> None:
    names = [each.strategy for each in drawn] + ["another exact retrain"]
    figure = plots.forgetting_against_cost(drawn, champion=Level(0.4), retrain=Level(0.015, 0.01))
    boxes = label_boxes(figure, names)
    assert set(boxes) == set(names)
    for one, other in combinations(boxes.values(), 2):
        assert shared(one, other) == 0
    frame = figure.axes[0].get_window_extent()
    for box in boxes.values():
        assert shared(box, frame) == pytest.approx(box.width * box.height)


def test_a_damaged_model_is_hollow_and_said_to_be() -> None:
    figure = plots.forgetting_against_cost(points())
    assert "hollow: held-out accuracy damaged" in said(figure)
    hollow = [line for line in figure.axes[0].lines if line.get_markerfacecolor() == "white"]
    assert [line.get_xdata()[0] for line in hollow] == [0.03]
    whole = plots.forgetting_against_cost([each for each in points() if not each.damaged])
    assert "hollow: held-out accuracy damaged" not in said(whole)


def test_champion_and_retrain_are_marked_where_they_are_given() -> None:
    both = said(
        plots.forgetting_against_cost(points(), champion=Level(0.38), retrain=Level(0.02, 0.01))
    )
    marks = {
        "champion: nothing forgotten, cost 0",
        "noise floor: two retrains apart",
        "another exact retrain",
    }
    assert marks <= both
    assert not marks & said(plots.forgetting_against_cost(points()))


def test_families_share_a_colour_and_the_cost_axis_is_logarithmic() -> None:
    figure = plots.forgetting_against_cost(points())
    (axis,) = figure.axes
    assert axis.get_xscale() == "log"
    assert {"repair only", "perturbation", "re-initialise", "retrain", "other"} <= said(figure)
    at = {0.08: set(), 0.30: set()}  # type: dict[float, set[Any]]
    for line in axis.lines:
        x = np.atleast_1d(line.get_xdata())
        if len(x) == 1 and float(x[0]) in at:
            at[float(x[0])].add(line.get_color())
    assert all(len(colours) == 1 for colours in at.values())
    assert at[0.08] != at[0.30]


def test_what_has_no_cost_or_distance_is_counted_and_an_empty_benchmark_is_drawn() -> None:
    lost = [CostPoint("a", 0.0, 0.1), CostPoint("b", 0.1, float("nan")), CostPoint("c", 0.1, 0.1)]
    texts = said(plots.forgetting_against_cost(lost))
    assert any("2 without a cost or a distance are not shown." in text for text in texts)
    assert plots.to_png(plots.forgetting_against_cost([])).startswith(b"\x89PNG")
