"""How sure a model is of forgotten and of held-out rows, before and after."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from expunge.lineage.style import FORGET, GREY, HELD_OUT, caption, styled_figure

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray


@dataclass(frozen=True)
class MarginPair:
    """Margins s of one model on forgotten and held-out rows.

    Log odds of the true class, or minus the absolute error of a real label.

    `auc`: chance that a forgotten row scores above a held-out one; `hard_auc` the same on the rows
    that reference models find hard. Shown where given; NaN is "not measured".
    """

    forget: NDArray[np.float64]
    held_out: NDArray[np.float64]
    auc: float | None = None
    hard_auc: float | None = None


def score_distributions(
    before: MarginPair,
    after: MarginPair,
    *,
    margin: str = "margin of the true class (log odds); left of 0 the model is wrong",
) -> Figure:
    """Margins of forgotten and held-out rows, champion above, candidate below; `margin` names them.

    A model that forgot has two curves that cover each other.
    """
    edges = _edges(before, after)
    with styled_figure(rows=2, sharex=True) as (figure, axes):
        models = (("Champion, before", before), ("Candidate, after", after))
        for axis, (model, pair) in zip(axes, models, strict=True):
            _margins(axis, pair, edges)
            axis.set_title(model + _aucs(pair))
            axis.set_ylabel("share of rows")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=2, fontsize=10)
        axes[1].set_xlabel(margin)
        caption(
            figure,
            "A model that forgot has two curves that cover each other. Dashed: medians; the "
            "outermost bars hold all beyond.",
        )
    return figure


def _aucs(pair: MarginPair) -> str:
    known = (("membership AUC", pair.auc), ("on hard rows", pair.hard_auc))
    said = [
        f"{name} {'not measured' if math.isnan(value) else f'{value:.2f}'}"
        for name, value in known
        if value is not None
    ]
    return f": {', '.join(said)}" if said else ""


def _edges(before: MarginPair, after: MarginPair) -> NDArray[np.float64]:
    """Bins that hold 99.5 % of the rows, fewer of them for few rows, with 0 on an edge."""
    import numpy as np

    every = [before.forget, before.held_out, after.forget, after.held_out]
    finite = np.concatenate([values[np.isfinite(values)] for values in every])
    low, high = np.percentile(finite, [0.25, 99.75]) if len(finite) else (-1.0, 1.0)
    few = min((len(values) for values in every if len(values)), default=1)
    bins = int(np.clip(2 * np.sqrt(few), 12, 40))
    width = max(high - low, 1e-6) / bins
    return np.asarray(np.arange(np.floor(low / width), np.ceil(high / width) + 1) * width)


def _margins(axis: Axes, pair: MarginPair, edges: NDArray[np.float64]) -> None:
    import numpy as np

    if edges[0] < 0 < edges[-1]:
        axis.axvline(0, color=GREY, linewidth=1, zorder=0.5)
    for name, values, colour in (
        ("held-out rows", pair.held_out, HELD_OUT),
        ("forgotten rows", pair.forget, FORGET),
    ):
        inside = np.clip(values, edges[0], edges[-1])
        counts, _ = np.histogram(inside, edges)
        density = counts / max(1, len(values))
        axis.stairs(density, edges, fill=True, color=colour, alpha=0.28)
        label = f"{name} ({len(values):,})"
        axis.stairs(density, edges, color=colour, linewidth=1.8, label=label)
        if len(values):
            axis.axvline(float(np.median(inside)), color=colour, linewidth=1.8, linestyle="--")
    axis.set_ylim(bottom=0)
    axis.set_yticks([])
    axis.spines["left"].set_visible(False)
