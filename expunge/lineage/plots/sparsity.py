"""Where in the network an edit sits."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple, Protocol

from expunge.lineage.style import (
    DASHES,
    INK,
    ORANGE,
    SMALL,
    Look,
    caption,
    headline,
    nothing_to_show,
    styled_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LAYERS = 36
_NAME = 32


class LayerEdit(Protocol):
    """One tensor of an edit record: `expunge.unlearning.TensorEdit` is one."""

    @property
    def name(self) -> str:
        """The tensor's name in the network."""

    @property
    def parameters(self) -> int:
        """Elements in all."""

    @property
    def masked(self) -> int:
        """Elements that the mask chose."""

    @property
    def changed(self) -> int:
        """Elements whose value the edit changed."""


class _Bar(NamedTuple):
    name: str
    parameters: int
    masked: int
    changed: int

    @property
    def shares(self) -> tuple[float, float]:
        whole = max(self.parameters, 1)
        return self.masked / whole, self.changed / whole


def sparsity_by_layer(layers: Sequence[LayerEdit]) -> Figure:
    """Share of each tensor that the edit masked, in the network's order, and of the whole.

    In low precision some masked parameters keep their value: those that changed are drawn darker.
    """
    bars = _pooled([_Bar(each.name, each.parameters, each.masked, each.changed) for each in layers])
    whole = _total("", bars)
    with styled_figure(height=max(2.9, 1.75 + 0.27 * len(bars))) as (figure, (axis,)):
        said = f"{whole.shares[0]:.1%} of {_count(whole.parameters)} parameters masked"
        if not bars:
            nothing_to_show(axis, "the edit record names no tensor")
            return figure
        kept = whole.masked - whole.changed
        unchanged = f", {_count(kept)} of them unchanged" if kept else ""
        headline(figure, f"Edit by layer: {said}{unchanged}")
        _draw(axis, bars, whole)
        prefix = _common_prefix([bar.name for bar in bars])
        _names(axis, [bar.name.removeprefix(prefix) for bar in bars])
        note = f" Names are without “{prefix}”." if prefix else ""
        dark = " Dark: changed; pale: masked, but of the same value after." if kept else ""
        caption(figure, f"Dashed: the whole network.{dark}{note}")
    return figure


def _draw(axis: Axes, bars: Sequence[_Bar], whole: _Bar) -> None:
    from matplotlib.ticker import PercentFormatter

    places = range(len(bars))
    axis.barh(places, [bar.shares[0] for bar in bars], height=0.7, color=ORANGE, alpha=0.4)
    axis.barh(places, [bar.shares[1] for bar in bars], height=0.7, color=ORANGE)
    axis.axvline(whole.shares[0], color=INK, linewidth=1.5, linestyle=DASHES)
    limit = min(1.0, max([*(bar.shares[0] for bar in bars), 1e-9]) * 1.05)
    axis.set_xlim(0, limit)
    axis.set_ylim(len(bars) - 0.4, -0.6)
    axis.xaxis.set_major_formatter(PercentFormatter(1.0))
    axis.grid(axis="x")
    axis.set_xlabel("masked share of the layer's parameters")
    beside: Look = {"transform": axis.get_yaxis_transform(), "va": "center", "fontsize": SMALL}
    for place, bar in enumerate(bars):
        axis.text(1.015, place, f"{bar.shares[0]:.1%} of {_count(bar.parameters)}", **beside)


def _names(axis: Axes, names: Sequence[str]) -> None:
    axis.set_yticks(range(len(names)), [_short(name) for name in names], fontsize=SMALL)
    axis.tick_params(axis="y", length=0)


def _short(name: str) -> str:
    """The name's two ends, where it is too long for the page."""
    return name if len(name) <= _NAME else f"{name[: _NAME // 2 - 1]}…{name[-_NAME // 2 :]}"


def _common_prefix(names: Sequence[str]) -> str:
    """The leading parts that all names share, with their dot; a name is never used up."""
    split = [name.split(".")[:-1] for name in names]
    shared = []
    for parts in zip(*split, strict=False):
        if len(set(parts)) > 1 or len(names) < 2:
            break
        shared.append(f"{parts[0]}.")
    return "".join(shared)


def _pooled(bars: list[_Bar]) -> list[_Bar]:
    """At most about forty bars: tensors of one module together, module by module upwards."""
    depth = max((bar.name.count(".") for bar in bars), default=0)
    while len(bars) > _LAYERS and depth > 0:
        bars = _grouped(bars, depth)
        depth -= 1
    return bars


def _grouped(bars: Sequence[_Bar], depth: int) -> list[_Bar]:
    """Neighbours whose names agree in their first `depth` parts, summed."""
    grouped = groupby(bars, lambda bar: ".".join(bar.name.split(".")[:depth]))
    return [_total(prefix, list(group)) for prefix, group in grouped]


def _total(name: str, bars: Sequence[_Bar]) -> _Bar:
    parameters, masked, changed = (
        sum(getattr(bar, field) for bar in bars) for field in ("parameters", "masked", "changed")
    )
    return _Bar(name, parameters, masked, changed)


def _count(number: int) -> str:
    """12,345 as it is, millions and more shortened."""
    for size, unit in ((1e9, "B"), (1e6, "M")):
        if number >= size:
            return f"{number / size:.1f}{unit}"
    return f"{number:,}"
