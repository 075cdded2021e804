"""One look for every picture.

Drawn without pyplot, so nothing is global and nothing leaks. 960 × 540 pixels, readable at the
size at which MLflow shows an artifact. Colours are Okabe and Ito's, told apart by colour-blind
people: vermillion is always the forgotten rows, blue always held-out rows.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ORANGE, SKY, GREEN, BLUE, VERMILLION, PURPLE = (
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
)
INK, GREY, RULE = "#222222", "#8C8C8C", "#DDDDDD"
FORGET, HELD_OUT = VERMILLION, BLUE
DPI = 120
SIZE = (8.0, 4.5)
DASHES = (0, (3, 1.5))
STYLE: Any = {
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
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


@contextmanager
def styled_figure(
    *, rows: int = 1, height: float = SIZE[1], sharex: bool = False
) -> Iterator[tuple[Figure, Sequence[Axes]]]:
    """A figure of `rows` panels; drawn within the style, which ends with the block."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(SIZE[0], height), layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(rows, 1, sharex=sharex, squeeze=False)
        yield figure, list(panels[:, 0])


def colours() -> Iterator[str]:
    """Colours for curves, for ever."""
    while True:
        yield from (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY)
