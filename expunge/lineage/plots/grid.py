"""What the generator does to rows: original, perturbed and residual, class by class.

Drawn from held-out rows of people who are not in the batch; which rows those are is for the caller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from expunge.lineage.plots.pictures import picture_grid
from expunge.lineage.plots.strips import strip_maps
from expunge.lineage.style import nothing_to_show, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

CLASSES = 10


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
    rows = tuple(
        np.nan_to_num(np.asarray(each, dtype=np.float64), posinf=0.0, neginf=0.0)
        for each in (grid.original, grid.perturbed, grid.residual)
    )
    if grid.original.ndim in {3, 4} and min(grid.original.shape[-2:]) > 1:
        original, perturbed, residual = (each[shown] for each in rows)
        return picture_grid(
            original, perturbed, residual, names=names, title=title, spectrogram=spectrogram
        )
    original, perturbed, residual = (each.reshape(len(each), -1) for each in rows)
    return strip_maps(
        original, perturbed, residual, shown=shown, names=names, title=title, features=features
    )
