"""Accuracy, or mean absolute error, before and after, beside what an exact retrain has."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from expunge.lineage.style import (
    CANDIDATE,
    CHAMPION,
    DASHES,
    QUIET,
    REFERENCE,
    Look,
    caption,
    headline,
    styled_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from expunge.specs import Task

_WIDTH = 0.27
_TITLE = {"classification": "Accuracy", "regression": "Mean absolute error"}


@dataclass(frozen=True)
class SplitAccuracy:
    """Accuracy of champion and candidate on one split, 0 … 1, with intervals where known.

    Where labels are real numbers, the mean absolute error. NaN is what was not measured.

    `reference` is what an exact retrain has, or is estimated to have.
    """

    split: str
    champion: float
    candidate: float
    reference: float | None = None
    champion_interval: tuple[float, float] | None = None
    candidate_interval: tuple[float, float] | None = None
    reference_interval: tuple[float, float] | None = None


def accuracy_bars(
    splits: Sequence[SplitAccuracy],
    *,
    reference: str = "exact retrain",
    task: Task = "classification",
) -> Figure:
    """Accuracy before and after on each split; a diamond marks what `reference` has.

    Of a regression the mean absolute error, in units of the label.
    """
    scale = _Scale(1.0, ".1%") if task == "classification" else _Scale(_highest(splits), ".4g")
    with styled_figure() as (figure, (axis,)):
        for place, split in enumerate(splits):
            _bars(axis, place, split, scale)
            if split.reference is not None:
                _reference(axis, place, split, scale)
        axis.set_xticks(range(len(splits)), [split.split for split in splits])
        axis.set_xlim(-0.55, max(len(splits), 1) - 0.45)
        axis.set_ylim(0, 1.1 * scale.top)
        if task == "classification":
            axis.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1.0])
            axis.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axis.tick_params(axis="x", length=0)
        axis.grid(axis="y")
        headline(figure, f"{_TITLE[task]} before and after")
        marked = any(split.reference is not None for split in splits)
        _legend(axis, reference if marked else None)
        caption(figure, "Thin lines: 95 % intervals.")
    return figure


@dataclass(frozen=True)
class _Scale:
    """How far up the axis goes, and how a number on it is written."""

    top: float
    form: str


def _highest(splits: Sequence[SplitAccuracy]) -> float:
    """The largest finite number of all splits; 1 where there is none above 0."""
    numbers = [
        number
        for split in splits
        for number in (
            split.champion,
            split.candidate,
            split.reference or 0.0,
            *(split.champion_interval or ()),
            *(split.candidate_interval or ()),
        )
        if math.isfinite(number)
    ]
    return max(numbers, default=0.0) or 1.0


def _bars(axis: Axes, place: float, split: SplitAccuracy, scale: _Scale) -> None:
    """Champion and candidate side by side, numbers above."""
    left = place - _WIDTH / (2 if split.reference is None else 1)  # room for the reference
    for middle, value, interval, colour in (
        (left, split.champion, split.champion_interval, CHAMPION),
        (left + _WIDTH, split.candidate, split.candidate_interval, CANDIDATE),
    ):
        if math.isnan(value):
            look: Look = {"rotation": 90, "ha": "center", "va": "bottom", "color": QUIET}
            axis.text(middle, 0.02 * scale.top, "not measured", fontsize=10, **look)
            continue
        low, high = interval or (value, value)
        axis.bar(middle, value, _WIDTH * 0.94, color=colour)
        axis.vlines(middle, low, high, colors=REFERENCE, linewidth=1.4)
        top = max(value, high)
        near = math.inf if split.reference is None else (split.reference - top) / scale.top
        if split.reference is not None and -0.01 < near < 0.06:
            top = split.reference  # keeps the number off the reference's line
        words, above = f"{value:{scale.form}}", top + 0.015 * scale.top
        axis.text(middle, above, words, ha="center", va="bottom", fontsize=10)


def _reference(axis: Axes, place: float, split: SplitAccuracy, scale: _Scale) -> None:
    """A diamond with its interval beside the bars, and a line across them at its height."""
    value, interval = split.reference or 0.0, split.reference_interval
    at = place + 0.8 * _WIDTH
    line: Look = {"color": REFERENCE, "linewidth": 1.4, "linestyle": DASHES}
    axis.plot((place - 1.5 * _WIDTH, at), (value, value), **line)
    low, high = interval or (value, value)
    axis.vlines(at, low, high, colors=REFERENCE, linewidth=1.4)
    axis.plot(at, value, marker="D", markersize=7, color=REFERENCE, clip_on=False)
    axis.text(at + 0.05, value, f"{value:{scale.form}}", ha="left", va="center", fontsize=10)


def _legend(axis: Axes, reference: str | None) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Patch | Line2D] = [
        Patch(color=CHAMPION, label="champion before"),
        Patch(color=CANDIDATE, label="candidate after"),
    ]
    if reference is not None:
        look: Look = {"color": REFERENCE, "linewidth": 1.4, "linestyle": DASHES, "marker": "D"}
        handles.append(Line2D([], [], markersize=7, label=f"reference: {reference}", **look))
    axis.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=3,
        fontsize=10,
        borderaxespad=0.2,
    )
