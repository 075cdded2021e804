"""The membership attack: who can be named, and at how many false alarms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from expunge.lineage.plots.measured import Measured, missing
from expunge.lineage.style import (
    CANDIDATE,
    CHAMPION,
    DASHES,
    QUIET,
    REFERENCE,
    Look,
    caption,
    headline,
    styled_figure,
)

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

_RARE = 1e-3


class Curve(Protocol):
    """A ROC curve [P] with its pointwise band: `expunge.evaluation.roc.Roc` is one."""

    @property
    def fpr(self) -> NDArray[np.float64]:
        """False positive rates, rising."""

    @property
    def tpr(self) -> NDArray[np.float64]:
        """True positive rates."""

    @property
    def low(self) -> NDArray[np.float64]:
        """Lower edge of the band."""

    @property
    def high(self) -> NDArray[np.float64]:
        """Upper edge of the band."""


@dataclass(frozen=True)
class Attack:
    """The attack on one model: its curve, and the area under it."""

    curve: Curve
    auc: Measured | None = None


def attack_roc(
    champion: Attack,
    candidate: Attack,
    retrain: Attack | None = None,
    *,
    held_out_rows: int,
    rows: str = "rows",
) -> Figure:
    """ROC curves of the membership attack on log–log axes, with bands, AUCs and the chance line.

    The axes start where one of `held_out_rows` rows is a false alarm, or at 1 in 1,000. `rows`
    names what is told apart, for example "hard rows".
    """
    floor = max(_RARE, 1 / max(held_out_rows, 10))
    with styled_figure(height=5.2) as (figure, (axis,)):
        chance: Look = {"color": QUIET, "linewidth": 1.2, "linestyle": ":"}
        axis.plot((floor, 1), (floor, 1), label="chance: AUC 0.50", **chance)
        for name, attack, colour, dashes in (
            ("champion", champion, CHAMPION, "-"),
            ("candidate", candidate, CANDIDATE, "-"),
            ("exact retrain", retrain, REFERENCE, DASHES),
        ):
            if attack is not None:
                _curve(axis, attack, floor, f"{name}: {_area(attack)}", (colour, dashes))
        _axes(axis, floor)
        headline(figure, f"Membership attack: forgotten {rows} told from unseen ones")
        handles, labels = axis.get_legend_handles_labels()
        axis.legend(handles[1:] + handles[:1], labels[1:] + labels[:1], loc="lower right")
        caption(
            figure,
            "A model that forgot lies on the chance line, or on the exact retrain's. Bands: 95 %, "
            f"by person. One false alarm is 1 of {held_out_rows:,} held-out rows.",
        )
    return figure


def _area(attack: Attack) -> str:
    auc = attack.auc
    if auc is None or (why := missing(auc)):
        return f"AUC not measured ({why})" if auc is not None else "AUC not measured"
    return f"AUC {auc.value:.2f} ({auc.low:.2f} – {auc.high:.2f})"


def _curve(axis: Axes, attack: Attack, floor: float, label: str, look: tuple[str, object]) -> None:
    """Steps from the floor to 1; a rate of 0 lies on the floor."""
    import numpy as np

    colour, dashes = look
    curve = attack.curve
    seen = curve.fpr >= floor
    start = max(int(np.count_nonzero(~seen)) - 1, 0)

    def steps(values: NDArray[np.float64]) -> NDArray[np.float64]:
        first = values[start : start + 1] if len(values) else values
        return np.asarray(np.maximum(np.concatenate([first, values[seen], [1.0]]), floor))

    fpr = np.concatenate([[floor] * min(1, len(curve.fpr)), curve.fpr[seen], [1.0]])
    band: Look = {"step": "post", "color": colour, "alpha": 0.2, "linewidth": 0}
    axis.fill_between(fpr, steps(curve.low), steps(curve.high), **band)
    line: Look = {"where": "post", "color": colour, "linewidth": 2.2, "linestyle": dashes}
    axis.step(fpr, steps(curve.tpr), label=label, **line)


def _axes(axis: Axes, floor: float) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlim(floor, 1)
    axis.set_ylim(floor, 1.08)
    for ticks in (axis.xaxis, axis.yaxis):
        ticks.set_major_locator(LogLocator(base=10))
        ticks.set_minor_formatter(NullFormatter())
        ticks.set_major_formatter(lambda value, _: f"{100 * value:g} %")
    axis.grid(axis="both")
    axis.set_xlabel("false alarms: held-out rows taken for forgotten ones")
    axis.set_ylabel("forgotten rows named")
