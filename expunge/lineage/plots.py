"""The pictures logged with a candidate: scores, accuracies, sparsity, training curves.

They take plain numbers and give a matplotlib figure; `to_png` makes it a file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Protocol

from expunge.lineage.style import (
    DASHES,
    FORGET,
    GREY,
    HELD_OUT,
    INK,
    ORANGE,
    SKY,
    colours,
    styled_figure,
    to_png,
)

__all__ = [
    "MarginPair",
    "SplitAccuracy",
    "accuracy_bars",
    "score_distributions",
    "sparsity_by_layer",
    "to_png",
    "training_curve",
    "training_curves",
]

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

_LAYERS = 36


class LayerEdit(Protocol):
    """One tensor of an edit record: `expunge.unlearning.TensorEdit` is one."""

    @property
    def name(self) -> str: ...
    @property
    def parameters(self) -> int: ...
    @property
    def masked(self) -> int: ...


@dataclass(frozen=True)
class MarginPair:
    """Margins s (log odds of the true class) of one model on forgotten and held-out rows.

    `auc`: chance that a forgotten row scores above a held-out one; shown where given.
    """

    forget: NDArray[np.float64]
    held_out: NDArray[np.float64]
    auc: float | None = None


@dataclass(frozen=True)
class SplitAccuracy:
    """Accuracy of champion and candidate on one split, 0 … 1, with intervals where known.

    `reference` is what an exact retrain has, or is estimated to have.
    """

    split: str
    champion: float
    candidate: float
    reference: float | None = None
    champion_interval: tuple[float, float] | None = None
    candidate_interval: tuple[float, float] | None = None


def score_distributions(before: MarginPair, after: MarginPair) -> Figure:
    """Margins of forgotten and held-out rows, champion above, candidate below.

    A model that forgot has two curves that cover each other.
    """
    import numpy as np

    every = [before.forget, before.held_out, after.forget, after.held_out]
    finite = np.concatenate([values[np.isfinite(values)] for values in every])
    low, high = np.percentile(finite, [0.5, 99.5]) if len(finite) else (-1.0, 1.0)
    edges = np.linspace(low, max(high, low + 1e-6), 41)
    with styled_figure(rows=2, sharex=True) as (figure, axes):
        for axis, title, pair in zip(axes, ("Before", "After"), (before, after), strict=True):
            _margins(axis, pair, edges)
            said = "" if pair.auc is None else f"   membership AUC {pair.auc:.2f}"
            axis.set_title(title + said)
            axis.set_ylabel("share of rows")
        axes[0].legend(loc="lower right", bbox_to_anchor=(1, 0.98), ncols=2, fontsize=10)
        axes[1].set_xlabel("margin of the true class (log odds); dashed: medians")
    return figure


def accuracy_bars(splits: Sequence[SplitAccuracy], *, reference: str = "exact retrain") -> Figure:
    """Accuracy before and after on each split; a dashed line marks what `reference` has."""
    with styled_figure() as (figure, (axis,)):
        for place, split in enumerate(splits):
            _bars(axis, place, split)
        axis.set_xticks(range(len(splits)), [split.split for split in splits])
        axis.set_xlim(-0.6, len(splits) - 0.4)
        axis.set_ylim(0, 1.12)
        axis.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1.0])
        axis.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axis.tick_params(axis="x", length=0)
        axis.grid(axis="y")
        axis.set_title("Accuracy before and after", pad=28)
        marked = any(split.reference is not None for split in splits)
        _accuracy_legend(axis, reference if marked else None)
    return figure


def sparsity_by_layer(layers: Sequence[LayerEdit]) -> Figure:
    """Share of each tensor that the edit masked, in the network's order, and of the whole."""
    from matplotlib.ticker import PercentFormatter

    pooled = _pooled([(layer.name, layer.parameters, layer.masked) for layer in layers])
    shares = [masked / parameters if parameters else 0.0 for _, parameters, masked in pooled]
    total = sum(parameters for _, parameters, _ in pooled)
    whole = sum(masked for _, _, masked in pooled) / total if total else 0.0
    with styled_figure(height=max(2.6, 1.5 + 0.29 * len(pooled))) as (figure, (axis,)):
        places = range(len(pooled))
        axis.barh(places, shares, height=0.7, color=ORANGE)
        axis.axvline(whole, color=INK, linewidth=1.5, linestyle=DASHES)
        limit = max([*shares, whole, 1e-9]) * 1.3
        for place, (share, (_, parameters, _)) in enumerate(zip(shares, pooled, strict=True)):
            said = f"{share:.1%} of {_count(parameters)}"
            box = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
            axis.text(share + limit * 0.01, place, said, va="center", fontsize=9, bbox=box)
        axis.set_yticks(places, [name for name, _, _ in pooled], fontsize=9)
        axis.set_xlim(0, limit)
        axis.set_ylim(len(pooled) - 0.4, -0.6)
        axis.xaxis.set_major_formatter(PercentFormatter(1.0))
        axis.set_xticks([tick for tick in axis.get_xticks() if tick <= min(limit, 1.0)])
        axis.tick_params(axis="y", length=0)
        axis.grid(axis="x")
        axis.set_xlabel("share of the tensor's parameters that was masked; dashed: whole network")
        axis.set_title(f"Masked parameters by layer: {whole:.1%} of {_count(total)} in all")
    return figure


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


def _margins(axis: Axes, pair: MarginPair, edges: NDArray[np.float64]) -> None:
    import numpy as np

    for name, values, colour in (
        ("held-out rows", pair.held_out, HELD_OUT),
        ("forgotten rows", pair.forget, FORGET),
    ):
        inside = np.clip(values, edges[0], edges[-1])  # the outermost bins hold what lies beyond
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


def _bars(axis: Axes, place: float, split: SplitAccuracy) -> None:
    """Champion and candidate side by side, numbers above, the reference across both."""
    width = 0.34
    reference = split.reference
    for middle, value, interval, colour in (
        (place - width / 2, split.champion, split.champion_interval, GREY),
        (place + width / 2, split.candidate, split.candidate_interval, SKY),
    ):
        low, high = interval or (value, value)
        axis.bar(middle, value, width * 0.94, color=colour)
        axis.vlines(middle, low, high, colors=INK, linewidth=1.2)
        top = max(value, high)
        if reference is not None and -0.01 < reference - top < 0.06:
            top = reference  # keeps the number off the reference's line
        axis.text(middle, top + 0.015, f"{value:.1%}", ha="center", va="bottom", fontsize=10)
    if reference is not None:
        ends = (place - width * 1.12, place + width * 1.12)
        axis.plot(ends, (reference, reference), color=INK, linewidth=1.8, linestyle=DASHES)


def _accuracy_legend(axis: Axes, reference: str | None) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Patch | Line2D] = [
        Patch(color=GREY, label="champion before"),
        Patch(color=SKY, label="candidate after"),
    ]
    if reference is not None:
        label = f"reference: {reference}"
        handles.append(Line2D([], [], color=INK, linewidth=1.8, linestyle=DASHES, label=label))
    axis.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=3,
        fontsize=10,
        borderaxespad=0.2,
    )


def _pooled(layers: list[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    """At most about forty bars: tensors of one module together, module by module upwards."""
    depth = max((name.count(".") for name, _, _ in layers), default=0)
    while len(layers) > _LAYERS and depth > 0:
        layers = _grouped(layers, depth)
        depth -= 1
    return layers


def _grouped(layers: list[tuple[str, int, int]], depth: int) -> list[tuple[str, int, int]]:
    """Neighbours whose names agree in their first `depth` parts, summed."""
    grouped = []
    for prefix, group in groupby(layers, lambda layer: ".".join(layer[0].split(".")[:depth])):
        same = list(group)
        grouped.append((prefix, sum(each[1] for each in same), sum(each[2] for each in same)))
    return grouped


def _count(number: int) -> str:
    """12,345 as it is, millions and more shortened."""
    for size, unit in ((1e9, "B"), (1e6, "M")):
        if number >= size:
            return f"{number / size:.1f}{unit}"
    return f"{number:,}"
