"""Original, perturbed and residual of rows that are pictures: grey, RGB or spectrograms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from expunge.lineage.style import (
    DIVERGING,
    QUIET,
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

_COLUMNS = 6


def picture_grid(
    original: Floats,
    perturbed: Floats,
    residual: Floats,
    *,
    names: Sequence[str],
    title: str,
    spectrogram: bool,
) -> Figure:
    """Three rows of pictures [N, H, W] or [N, C, H, W], a column for each, named on top."""
    import numpy as np

    limit = float(np.abs(residual).max()) or 1.0
    tall = original.shape[-2] / original.shape[-1]
    columns = max(len(names), _COLUMNS)
    cell = 6.9 / columns
    grey: Look = {"cmap": "viridis" if spectrogram else "gray", **_range(original, perturbed)}
    signed: Look = {"cmap": DIVERGING, "vmin": -limit, "vmax": limit}
    with styled(1.75 + 3 * min(cell * tall, 1.8)) as figure:
        spec = figure.add_gridspec(3, columns)
        cells = [[figure.add_subplot(spec[r, c]) for c in range(len(names))] for r in range(3)]
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
        shrink = min(1.0, 0.45 * columns / len(names))
        scale = figure.colorbar(
            drawn, ax=axes, location="bottom", shrink=shrink, aspect=40, anchor=(0.0, 1.0)
        )
        colour_scale(scale, limit, "residual, in units of the model's input")
        caption(figure, _picture_words(original, spectrogram=spectrogram))
    return figure


def _picture_words(rows: Floats, *, spectrogram: bool) -> str:
    words = "Percentages: size of the residual, as a share of the row's (L2)."
    if spectrogram:
        return f"Time to the right, frequency upwards. {words}"
    if rows.ndim == 4 and rows.shape[1] == 3:
        return f"Residual: the channel that changed most. {words}"
    if rows.ndim == 4 and rows.shape[1] > 1:
        return f"Shown: the mean of {rows.shape[1]} channels, the largest residual. {words}"
    return words


def _picture(axis: Axes, picture: Floats, look: Look, *, upwards: bool) -> Any:
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


def _range(*rows: Floats) -> dict[str, float]:
    low, high = min(float(each.min()) for each in rows), max(float(each.max()) for each in rows)
    return {"vmin": low, "vmax": high if high > low else low + 1.0}


def _relative(original: Floats, residual: Floats) -> str:
    import numpy as np

    size = float(np.linalg.norm(original))
    return f"{float(np.linalg.norm(residual)) / size:.0%}" if size else "–"
