"""The benchmark in one picture: how near a strategy comes to the exact retrain, at what cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from expunge.lineage.plots.direct_labels import Box, Spot, label_directly
from expunge.lineage.style import (
    BLUE,
    CHAMPION,
    DASHES,
    GREEN,
    INK,
    ORANGE,
    PURPLE,
    QUIET,
    REFERENCE,
    SKY,
    SMALL,
    VERMILLION,
    Look,
    caption,
    headline,
    styled_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FAMILIES = (
    (VERMILLION, "o"),
    (BLUE, "s"),
    (GREEN, "^"),
    (ORANGE, "v"),
    (PURPLE, "P"),
    (SKY, "X"),
)


_LEGEND = 130


@dataclass(frozen=True)
class CostPoint:
    """One strategy over seeds: mean ± standard deviation of cost and of distance.

    `cost` is relative to an exact retrain, above 0; `distance` is ≥ 0, as of |hard-row AUC − the
    retrain's|. `family` groups strategies by colour; `damaged`: it lost held-out accuracy beyond
    the gate's margin, so that its distance is no achievement.
    """

    strategy: str
    cost: float
    distance: float
    cost_sd: float = 0.0
    distance_sd: float = 0.0
    family: str = ""
    damaged: bool = False


@dataclass(frozen=True)
class Level:
    """A distance to compare with, mean ± standard deviation over seeds."""

    distance: float
    distance_sd: float = 0.0


def forgetting_against_cost(
    points: Sequence[CostPoint],
    *,
    champion: Level | None = None,
    retrain: Level | None = None,
    distance: str = "distance to the exact retrain",
    title: str = "Forgetting against cost",
) -> Figure:
    """Cost on a log axis, distance to the exact retrain below it: good is low and to the left.

    `champion` is the distance of doing nothing; `retrain` that of another exact retrain, at cost 1:
    the noise floor, below which no strategy can be told apart.
    """
    known = [each for each in points if each.cost > 0 and math.isfinite(each.distance)]
    with styled_figure(height=5.6) as (figure, (axis,)):
        axis.set_xscale("log")
        _limits(axis, known, champion, retrain)
        colours = _families(known)
        for point in known:
            _point(axis, point, colours[point.family])
        if retrain is not None:
            axis.plot(1, retrain.distance, "D", color=REFERENCE, markersize=8, zorder=3)
        _axes(axis, distance)
        headline(figure, title)
        _legend(axis, known, colours)
        caption(figure, _words(points, known))
        figure.draw_without_rendering()  # the layout has to stand before names find their places
        taken = _levels(axis, champion, retrain)
        spots = [_spot(axis, point, colours[point.family][0]) for point in known]
        if retrain is not None:
            spots.append(Spot("another exact retrain", 1.0, retrain.distance))
        label_directly(axis, spots, taken=taken)
    return figure


def _limits(
    axis: Axes, points: Sequence[CostPoint], champion: Level | None, retrain: Level | None
) -> None:
    costs = [1.0, *(point.cost for point in points)]
    levels = [level for level in (champion, retrain) if level is not None]
    tops = [point.distance + point.distance_sd for point in points]
    tops += [level.distance + level.distance_sd for level in levels]
    axis.set_xlim(min(costs) / 2, max(costs) * 2.2)
    top = max([*tops, 1e-3]) * 1.12
    axis.set_ylim(-0.07 * top, top)  # below 0 there is room for names


def _families(points: Sequence[CostPoint]) -> dict[str, tuple[str, str]]:
    names = dict.fromkeys(point.family for point in points)
    return {name: _FAMILIES[place % len(_FAMILIES)] for place, name in enumerate(names)}


def _point(axis: Axes, point: CostPoint, look: tuple[str, str]) -> None:
    colour, marker = look
    left = min(point.cost_sd, 0.9 * point.cost)  # the axis has no zero
    axis.errorbar(
        point.cost,
        point.distance,
        xerr=[[left], [point.cost_sd]],
        yerr=[[min(point.distance_sd, point.distance)], [point.distance_sd]],
        fmt=marker,
        markersize=8,
        color=colour,
        markerfacecolor="white" if point.damaged else colour,
        markeredgewidth=1.6,
        elinewidth=1.2,
        zorder=3,
    )


def _spot(axis: Axes, point: CostPoint, colour: str) -> Spot:
    """The point's name, and its error bars in pixels."""
    left = max(point.cost - point.cost_sd, 0.1 * point.cost)
    bottom = max(point.distance - point.distance_sd, 0.0)
    ends = [(left, bottom), (point.cost + point.cost_sd, point.distance + point.distance_sd)]
    (x0, y0), (x1, y1) = axis.transData.transform(ends)
    x, y = axis.transData.transform((point.cost, point.distance))
    boxes: tuple[Box, ...] = ((x0, y - 1, x1, y + 1), (x - 1, y0, x + 1, y1))
    return Spot(point.strategy, point.cost, point.distance, INK, boxes)


def _levels(axis: Axes, champion: Level | None, retrain: Level | None) -> list[Box]:
    """Horizontal lines with a band of one standard deviation, named at the left; their boxes."""
    taken: list[Box] = []
    for level, colour, words in (
        (champion, CHAMPION, "champion: nothing forgotten, cost 0"),
        (retrain, REFERENCE, "noise floor: two retrains apart"),
    ):
        if level is None:
            continue
        ends = (level.distance - level.distance_sd, level.distance + level.distance_sd)
        axis.axhspan(max(ends[0], 0), ends[1], color=colour, alpha=0.1, linewidth=0)
        axis.axhline(level.distance, color=colour, linewidth=1.3, linestyle=DASHES, zorder=1)
        text = axis.annotate(
            words,
            (0.01, level.distance),
            xycoords=axis.get_yaxis_transform(),
            xytext=(0, 3),
            textcoords="offset points",
            fontsize=SMALL,
            color=QUIET,
            in_layout=False,
        )
        box = text.get_window_extent()
        line = axis.transData.transform((1.0, level.distance))[1]
        frame = axis.get_window_extent()
        taken += [(box.x0, box.y0, box.x1, box.y1), (frame.x0, line - 1, frame.x1, line + 1)]
    return taken


def _axes(axis: Axes, distance: str) -> None:
    from matplotlib.ticker import FixedLocator, NullLocator

    ticks = [base * 10.0**power for power in range(-4, 3) for base in (1, 2, 5)]
    axis.xaxis.set_major_locator(FixedLocator(ticks))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:.3g}" if value >= 0 else "")
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_xlabel("cost, as a share of an exact retrain (log scale)")
    axis.set_ylabel(distance)
    axis.grid(axis="both")


def _legend(axis: Axes, points: Sequence[CostPoint], colours: dict[str, tuple[str, str]]) -> None:
    from matplotlib.lines import Line2D

    look: Look = {"linestyle": "", "markersize": 7, "markeredgewidth": 1.6}
    handles = [
        Line2D([], [], color=colour, marker=marker, label=family, **look)
        for family, (colour, marker) in colours.items()
        if family
    ]
    if any(point.damaged for point in points):
        hollow: Look = {"color": QUIET, "marker": "o", "markerfacecolor": "white"}
        handles.append(Line2D([], [], label="hollow: held-out accuracy damaged", **look, **hollow))
    if handles:
        longest = max(len(str(handle.get_label())) for handle in handles)
        columns = max(1, _LEGEND // (longest + 6))
        place: Look = {
            "loc": "lower left",
            "bbox_to_anchor": (0, 1.0),
            "borderaxespad": 0.2,
        }
        axis.legend(handles=handles, ncols=columns, fontsize=SMALL, **place)


def _words(points: Sequence[CostPoint], known: Sequence[CostPoint]) -> str:
    lost = len(points) - len(known)
    said = f" {lost} without a cost or a distance are not shown." if lost else ""
    return f"Good is low and to the left. Lines: one standard deviation over seeds.{said}"
