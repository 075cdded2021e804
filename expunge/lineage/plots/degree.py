"""The unlearning degree beside its controls: what perturbed rows say of forgetting, and how much
less of it than it looks is about the forgotten people.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from expunge.lineage.plots.measured import Measured, missing
from expunge.lineage.style import (
    CHAMPION,
    FORGET,
    GREEN,
    HELD_OUT,
    INK,
    QUIET,
    REFERENCE,
    RULE,
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

_DAMAGE = 1.2
_REASON = 58


@dataclass(frozen=True)
class _Line:
    """One line of the picture: a name, a value in points, and how it is marked."""

    name: str
    metric: Measured | None
    colour: str
    marker: str = "o"
    scale: float = 100.0


@dataclass(frozen=True)
class _Zero:
    """The champion's degree: nothing is forgotten yet, by definition."""

    value: float = 0.0
    low: float = 0.0
    high: float = 0.0
    undefined: str | None = None


def unlearning_degree(
    after: Measured | None,
    *,
    unseen: Measured | None = None,
    sign_noise: Measured | None = None,
    calibrated: Measured | None = None,
    normalised: Measured | None = None,
    retrain: Measured | None = None,
) -> Figure:
    """UD before and after with intervals, its controls, and UD_cal; nUD below where given.

    `after` is UD of the candidate on G(D_f), −1 … 1; `unseen` the same on G(H_f), of people nobody
    trained on; `sign_noise` UD with plain noise of G's size; `calibrated` UD − unseen; `normalised`
    nUD; `retrain` UD of the exact retrain. What is undefined is named with its reason; what is None
    is said to be not measured, but `retrain` and `normalised` are left out.
    """
    lines = [
        _Line("champion, before", _Zero(), CHAMPION),
        _Line("candidate, after", after, FORGET),
        _Line("control: unseen people", unseen, HELD_OUT),
        _Line("control: sign noise of the same size", sign_noise, GREEN, "s"),
        _Line("calibrated: after − unseen people", calibrated, INK),
    ]
    if retrain is not None:
        lines.insert(2, _Line("exact retrain", retrain, REFERENCE, "D"))
    ratio = [_Line("normalised: calibrated ÷ retrain's", normalised, INK, scale=1.0)]
    panels = 1 + (normalised is not None)
    ratios = (len(lines) + 0.5, 1.6)[:panels]
    height = 1.75 + 0.42 * len(lines) + 1.15 * (panels - 1)
    with styled_figure(rows=panels, height=height, ratios=ratios) as (figure, axes):
        _panel(axes[0], lines, "{:+.1f}")
        axes[0].axvline(0, color=QUIET, linewidth=1, zorder=0.6)
        headline(figure, "Unlearning degree: accuracy lost on perturbed rows")
        left, right = axes[0].get_xlim()
        axes[0].set_xlim(min(left, -0.5), max(right, 5.0))
        axes[0].set_xlabel("points lost from champion to candidate")
        if panels > 1:
            _panel(axes[1], ratio, "{:.2f}")
            _ratio_axis(axes[1], normalised)
        caption(
            figure,
            "Lines: 95 % intervals. What unseen people lose too is not forgetting: read the "
            "calibrated degree.",
        )
    return figure


def _panel(axis: Axes, lines: Sequence[_Line], form: str) -> None:
    """One line per value: mark and interval left, the number in a column to the right."""
    ends = [abs(end) for line in lines for end in _ends(line)]
    limit = max([1.0 / lines[0].scale * 100, *(end for end in ends if math.isfinite(end))])
    for place, line in enumerate(lines):
        if why := missing(line.metric):
            _reason(axis, place, why)
            _beside(axis, place, "–")
        else:
            _mark(axis, place, line, limit, form)
    axis.set_yticks(range(len(lines)), [line.name for line in lines], fontsize=10)
    axis.set_ylim(len(lines) - 0.5, -0.6)
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)
    axis.grid(axis="x")


def _ends(line: _Line) -> tuple[float, ...]:
    metric = line.metric
    if metric is None or missing(metric):
        return ()
    return tuple(line.scale * end for end in (metric.low, metric.value, metric.high))


def _mark(axis: Axes, place: int, line: _Line, limit: float, form: str) -> None:
    low, value, high = _ends(line)
    bounded = math.isfinite(low) and math.isfinite(high)
    shown = (max(low, -2 * limit), min(high, 2 * limit)) if bounded else (value, value)
    axis.plot(shown, (place, place), color=line.colour, linewidth=2.2, solid_capstyle="butt")
    axis.plot(value, place, line.marker, color=line.colour, markersize=8)
    if isinstance(line.metric, _Zero):
        words = "0 by definition"
    elif not high > low:
        words = form.format(value)
    elif bounded:
        words = f"{form.format(value)}  ({form.format(low)} … {form.format(high)})"
    else:
        words = f"{form.format(value)}  (unbounded)"
    _beside(axis, place, words)


def _reason(axis: Axes, place: float, why: str) -> None:
    """Why there is no value, where it would be."""
    look: Look = {"va": "center", "fontsize": SMALL, "color": QUIET, "style": "italic"}
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
    where = axis.get_yaxis_transform()
    axis.text(0.03, place, textwrap.fill(why, _REASON), transform=where, bbox=box, **look)


def _beside(axis: Axes, place: float, words: str) -> None:
    where = axis.get_yaxis_transform()
    axis.text(1.02, place, words.replace("-", "−"), transform=where, va="center", fontsize=10)


def _ratio_axis(axis: Axes, normalised: Measured | None) -> None:
    """0 nothing forgotten, 1 like retraining, above 1.2 damage."""
    ends = () if normalised is None else (normalised.low, normalised.high)
    known = [end for end in ends if math.isfinite(end)]
    left, right = min([-0.2, *known]) - 0.05, max([1.85, *known]) + 0.05
    axis.axvspan(_DAMAGE, right, color=VERMILLION, alpha=0.12, linewidth=0)
    for at in (0, 1):
        axis.axvline(at, color=RULE, linewidth=1.5, zorder=0.6)
    axis.set_xlim(left, right)
    said: Look = {"fontsize": SMALL, "color": QUIET, "va": "center"}
    axis.text(_DAMAGE, -0.4, " damage: over 1.2", **said)
    marks = ((0, "0: nothing forgotten"), (1, "1: like retraining"))
    axis.set_xticks([at for at, _ in marks], [words for _, words in marks], fontsize=SMALL)
