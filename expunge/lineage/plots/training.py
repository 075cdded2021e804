"""Training, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from expunge.lineage.style import colours, styled_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def training_curve(losses: Sequence[float]) -> Figure:
    """The mean loss of each epoch."""
    return training_curves({"training loss": losses})


def training_curves(curves: Mapping[str, Sequence[float]]) -> Figure:
    """Several values per epoch in one picture, each named at its end."""
    import numpy as np
    from matplotlib.ticker import MaxNLocator

    with styled_figure() as (figure, (axis,)):
        for (name, values), colour in zip(curves.items(), colours(), strict=False):
            epochs = np.arange(1, len(values) + 1)
            axis.plot(epochs, values, color=colour, marker="o", markersize=3.5, label=name)
        positive = [value for values in curves.values() for value in values if value > 0]
        if positive and max(positive) / min(positive) > 50:
            axis.set_yscale("log")
            axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        else:
            axis.set_ylim(bottom=0)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axis.set_xlim(left=0.5)
        axis.grid(axis="y")
        axis.set_xlabel("epoch")
        axis.set_title("Training")
        if len(curves) > 1:
            axis.legend()
        else:
            axis.set_ylabel(next(iter(curves), ""))
    return figure
