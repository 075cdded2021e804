"""One look for every picture.

Drawn without pyplot, so nothing is global and nothing leaks; a user's own matplotlibrc changes
nothing. 960 pixels wide, readable at the size at which MLflow shows an artifact. Colours are Okabe
and Ito's, told apart by colour-blind people, and mean the same everywhere: vermillion the forgotten
rows, blue held-out rows, grey the champion, sky blue the candidate, black dashes the reference.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colorbar import Colorbar
    from matplotlib.figure import Figure

Look: TypeAlias = dict[str, Any]
"""Keyword arguments of a matplotlib artist."""

ORANGE, SKY, GREEN, BLUE, VERMILLION, PURPLE = (
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
)
INK, GREY, QUIET, RULE = "#222222", "#8C8C8C", "#5F5F5F", "#DDDDDD"
FORGET, HELD_OUT = VERMILLION, BLUE
CHAMPION, CANDIDATE, REFERENCE = GREY, SKY, INK
DIVERGING = "RdBu_r"
DPI = 120
SIZE = (8.0, 4.5)
DASHES = (0, (3, 1.5))
SMALL = 9
_CAPTION, _AIR = 118, 0.07
STYLE: Look = {
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "grid.color": RULE,
    "lines.linewidth": 2,
}


def to_png(figure: Figure) -> bytes:
    """The figure as a PNG file; equal figures give equal bytes."""
    buffer = io.BytesIO()
    with _style():
        figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


@contextmanager
def styled(height: float = SIZE[1]) -> Iterator[Figure]:
    """An empty figure, drawn within the style, which ends with the block."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with _style():
        figure = Figure(figsize=(SIZE[0], height), dpi=DPI, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure


@contextmanager
def styled_figure(
    *,
    rows: int = 1,
    height: float = SIZE[1],
    sharex: bool = False,
    ratios: Sequence[float] | None = None,
) -> Iterator[tuple[Figure, Sequence[Axes]]]:
    """A figure of `rows` panels one above the other, of equal heights or by `ratios`."""
    with styled(height) as figure:
        panels = figure.subplots(rows, 1, sharex=sharex, squeeze=False, height_ratios=ratios)
        yield figure, list(panels[:, 0])


def headline(figure: Figure, words: str) -> None:
    """The title, at the left edge of the figure, whatever stands at the left of its axes."""
    figure.suptitle(words, x=0.01, ha="left", fontsize=12, fontweight="bold")
    figure.set_layout_engine("constrained", h_pad=_AIR)


def caption(figure: Figure, words: str) -> None:
    """Quiet lines at the foot of the figure: how to read it."""
    lines = textwrap.fill(words, _CAPTION)
    figure.supxlabel(lines, x=0.01, ha="left", fontsize=SMALL, color=QUIET, linespacing=1.4)


def colour_scale(bar: Colorbar, limit: float, words: str) -> None:
    """The ends and the middle of a colour bar from −limit to +limit."""
    bar.set_ticks([-limit, 0, limit], labels=[f"−{limit:.2g}", "0", f"+{limit:.2g}"])
    bar.ax.tick_params(labelsize=SMALL, length=2)
    bar.outline.set_visible(False)
    if words:
        bar.set_label(words, fontsize=SMALL)


def nothing_to_show(axis: Axes, why: str) -> None:
    """Words in the place of a picture that cannot be drawn."""
    axis.set_axis_off()
    axis.text(0.5, 0.5, why, transform=axis.transAxes, ha="center", va="center", color=QUIET)


def colours() -> Iterator[str]:
    """Colours for curves, for ever."""
    while True:
        yield from (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY)


@contextmanager
def _style() -> Iterator[None]:
    from matplotlib import style

    with style.context(["default", STYLE]):
        yield
