"""Original, perturbed and residual of rows that are vectors: strips of colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from expunge.lineage.style import (
    DIVERGING,
    SMALL,
    Look,
    caption,
    colour_scale,
    headline,
    styled,
)

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]

_NAMED_FEATURES = 24
_NUMBERED_FEATURES = 12


def strip_maps(
    original: Floats,
    perturbed: Floats,
    residual: Floats,
    *,
    shown: NDArray[np.int64],
    names: Sequence[str],
    title: str,
    features: Sequence[str],
) -> Figure:
    """Three heat maps of the `shown` rows of [N, D], each feature in standard deviations over N."""
    import numpy as np

    mean, spread = original.mean(axis=0), original.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    moved = residual[shown] / spread
    limit = float(np.abs(moved).max()) or 1.0
    maps = (
        ("original", (original[shown] - mean) / spread, "PuOr", 2.5),
        ("perturbed", (perturbed[shown] - mean) / spread, "PuOr", 2.5),
        ("residual", moved, DIVERGING, limit),
    )
    with styled(2.0 + 3 * (0.35 + 0.15 * len(shown))) as figure:
        axes = figure.subplots(3, 1, sharex=True)
        for axis, (words, values, colours, most) in zip(axes, maps, strict=True):
            look: Look = {"cmap": colours, "vmin": -most, "vmax": most}
            drawn = axis.imshow(values, aspect="auto", interpolation="nearest", **look)
            _strip_axis(axis, words, names)
            scale = figure.colorbar(drawn, ax=axis, pad=0.015, aspect=9)
            colour_scale(scale, most, "")
            if values.shape[1] <= _NUMBERED_FEATURES:
                _numbers(axis, values, most)
        _columns(axes[2], moved.shape[1], features)
        untouched = int(np.count_nonzero(~residual.any(axis=0)))
        headline(figure, title)
        said = f" {untouched} of {residual.shape[1]} features untouched." if untouched else ""
        caption(figure, f"In standard deviations of each feature over {len(original)} rows.{said}")
    return figure


def _strip_axis(axis: Axes, words: str, names: Sequence[str]) -> None:
    axis.set_title(words, fontsize=10, fontweight="normal")
    axis.set_yticks(range(len(names)), names, fontsize=SMALL)
    axis.tick_params(axis="both", length=0)
    for spine in axis.spines.values():
        spine.set_visible(False)


def _columns(axis: Axes, width: int, features: Sequence[str]) -> None:
    """Names under the columns, where they are few enough to read."""
    if len(features) == width <= _NAMED_FEATURES:
        axis.set_xticks(range(width), features, fontsize=SMALL, rotation=40, ha="right")
    else:
        axis.set_xlabel("feature", fontsize=10)


def _numbers(axis: Axes, values: Floats, limit: float) -> None:
    """The value in each cell."""
    import numpy as np

    for (row, column), value in np.ndenumerate(values):
        colour = "white" if abs(value) > 0.6 * limit else "black"
        look: Look = {"ha": "center", "va": "center", "fontsize": 8, "color": colour}
        words = f"{value:+.2f}".replace("-", "−") if value else "0"
        axis.text(column, row, words, **look)
