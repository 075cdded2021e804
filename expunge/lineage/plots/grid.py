"""What the generator does to rows: original, perturbed and residual, class by class.

Drawn from held-out rows of people who are not in the batch; which rows those are is for the caller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from expunge.lineage.style import (
    DIVERGING,
    QUIET,
    SMALL,
    Look,
    caption,
    headline,
    nothing_to_show,
    styled,
)

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

CLASSES = 10
_COLUMNS = 6
_NAMED_FEATURES = 24
_NUMBERED_FEATURES = 12


class PerturbedRows(Protocol):
    """Rows [N, ...] as they are, under the generator, and their difference; labels [N].

    A row is a vector [D], or a picture [H, W] or [C, H, W].
    """

    @property
    def original(self) -> NDArray[Any]:
        """Rows as they are."""

    @property
    def perturbed(self) -> NDArray[Any]:
        """Rows under the generator."""

    @property
    def residual(self) -> NDArray[Any]:
        """Perturbed less original."""

    @property
    def labels(self) -> NDArray[Any]:
        """Class of each row."""


def perturbation_grid(
    grid: PerturbedRows,
    *,
    classes: Mapping[int, str] | None = None,
    features: Sequence[str] = (),
    spectrogram: bool = False,
) -> Figure:
    """The first row of each class: as it is, perturbed, and the residual with its scale.

    `classes` and `features` name labels and columns. At most ten classes are shown, the rest
    counted. Pictures are grey or RGB, a `spectrogram` in false colours with low frequencies below.
    Vectors are heat strips, in standard deviations of each feature.
    """
    import numpy as np

    labels, first = np.unique(np.asarray(grid.labels), return_index=True)
    shown = first[:CLASSES]
    names = [(classes or {}).get(int(label), str(label)) for label in labels[:CLASSES]]
    if not len(shown):
        with styled(2.5) as figure:
            nothing_to_show(figure.subplots(), "no held-out row to show")
        return figure
    more = f"{len(shown)} of {len(labels)} classes" if len(labels) > len(shown) else "each class"
    title = f"What the generator changes: one held-out row of {more}"
    if _pictures(grid.original):
        return _picture_grid(grid, shown, names, title, spectrogram=spectrogram)
    return _strips(grid, shown, names, title, features)


def _pictures(rows: NDArray[Any]) -> bool:
    return rows.ndim in {3, 4} and min(rows.shape[-2:]) > 1


def _picture_grid(
    grid: PerturbedRows,
    shown: NDArray[np.int64],
    names: Sequence[str],
    title: str,
    *,
    spectrogram: bool,
) -> Figure:
    import numpy as np

    original, perturbed, residual = (
        _finite(rows[shown]) for rows in (grid.original, grid.perturbed, grid.residual)
    )
    limit = float(np.abs(residual).max()) or 1.0
    tall = original.shape[-2] / original.shape[-1]
    columns = max(len(shown), _COLUMNS)
    cell = 6.9 / columns
    grey: Look = {"cmap": "viridis" if spectrogram else "gray", **_range(original, perturbed)}
    signed: Look = {"cmap": DIVERGING, "vmin": -limit, "vmax": limit}
    with styled(1.75 + 3 * min(cell * tall, 1.8)) as figure:
        spec = figure.add_gridspec(3, columns)
        cells = [[figure.add_subplot(spec[r, c]) for c in range(len(shown))] for r in range(3)]
        axes = np.array(cells)
        for column, name in enumerate(names):
            pictures = (original[column], perturbed[column], residual[column])
            for axis, picture, look in zip(
                axes[:, column], pictures, (grey, grey, signed), strict=True
            ):
                drawn = _picture(axis, picture, look, upwards=spectrogram)
            axes[0, column].set_title(name, loc="center", fontsize=10, fontweight="normal", pad=5)
            axes[2, column].set_xlabel(
                _relative(original[column], residual[column]), fontsize=SMALL, color=QUIET
            )
        for axis, words in zip(axes[:, 0], ("original", "perturbed", "residual"), strict=True):
            axis.set_ylabel(words, fontsize=10)
        headline(figure, title)
        shrink = min(1.0, 0.45 * columns / len(shown))
        scale = figure.colorbar(
            drawn, ax=axes, location="bottom", shrink=shrink, aspect=40, anchor=(0.0, 1.0)
        )
        _scale(scale, limit, "residual, in units of the model's input")
        caption(figure, _picture_words(original, spectrogram=spectrogram))
    return figure


def _picture_words(rows: NDArray[np.float64], *, spectrogram: bool) -> str:
    words = "Percentages: size of the residual, as a share of the row's (L2)."
    if spectrogram:
        return f"Time to the right, frequency upwards. {words}"
    if rows.ndim == 4 and rows.shape[1] == 3:
        return f"Residual: the channel that changed most. {words}"
    if rows.ndim == 4 and rows.shape[1] > 1:
        return f"Shown: the mean of {rows.shape[1]} channels, the largest residual. {words}"
    return words


def _picture(axis: Axes, picture: NDArray[np.float64], look: Look, *, upwards: bool) -> Any:
    """One row as a picture; a residual of several channels by the one that changed most."""
    import numpy as np

    signed = look["cmap"] == DIVERGING
    if picture.ndim == 3:
        if signed:
            most = np.abs(picture).argmax(axis=0)
            picture = np.take_along_axis(picture, most[None], axis=0)[0]
        elif picture.shape[0] == 3:
            spread = look["vmax"] - look["vmin"]
            picture = np.clip((picture.transpose(1, 2, 0) - look["vmin"]) / spread, 0, 1)
        else:
            picture = picture.mean(axis=0)
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_visible(signed)
    return axis.imshow(
        picture, interpolation="nearest", origin="lower" if upwards else "upper", **look
    )


def _strips(
    grid: PerturbedRows,
    shown: NDArray[np.int64],
    names: Sequence[str],
    title: str,
    features: Sequence[str],
) -> Figure:
    """Three heat maps of classes by features, each feature in its own standard deviations."""
    import numpy as np

    original, perturbed, residual = (
        _finite(rows).reshape(len(rows), -1)
        for rows in (grid.original, grid.perturbed, grid.residual)
    )
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
            _scale(scale, most, "")
            if values.shape[1] <= _NUMBERED_FEATURES:
                _numbers(axis, values, most)
        _columns(axes[2], moved.shape[1], features)
        untouched = int(np.count_nonzero(~residual.any(axis=0)))
        headline(figure, title)
        said = f" {untouched} of {residual.shape[1]} features untouched." if untouched else ""
        caption(figure, f"In standard deviations of each feature.{said}")
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


def _numbers(axis: Axes, values: NDArray[np.float64], limit: float) -> None:
    """The value in each cell."""
    import numpy as np

    for (row, column), value in np.ndenumerate(values):
        colour = "white" if abs(value) > 0.6 * limit else "black"
        look: Look = {"ha": "center", "va": "center", "fontsize": 8, "color": colour}
        words = f"{value:+.2f}".replace("-", "−") if value else "0"
        axis.text(column, row, words, **look)


def _scale(scale: Any, limit: float, words: str) -> None:
    scale.set_ticks([-limit, 0, limit], labels=[f"−{limit:.2g}", "0", f"+{limit:.2g}"])
    scale.ax.tick_params(labelsize=SMALL, length=2)
    scale.outline.set_visible(False)
    if words:
        scale.set_label(words, fontsize=SMALL)


def _range(*rows: NDArray[np.float64]) -> dict[str, float]:
    low, high = min(float(each.min()) for each in rows), max(float(each.max()) for each in rows)
    return {"vmin": low, "vmax": high if high > low else low + 1.0}


def _relative(original: NDArray[np.float64], residual: NDArray[np.float64]) -> str:
    import numpy as np

    size = float(np.linalg.norm(original))
    return f"{float(np.linalg.norm(residual)) / size:.0%}" if size else "–"


def _finite(rows: NDArray[Any]) -> NDArray[np.float64]:
    import numpy as np

    return np.nan_to_num(np.asarray(rows, dtype=np.float64), posinf=0.0, neginf=0.0)
