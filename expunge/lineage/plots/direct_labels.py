"""Names beside their points, so that no two names, and no name and point, cover each other.

Each name tries places around its point, near ones first, and takes the one that covers least; a few
rounds let early names make room for late ones. A name that had to go far gets a thin line to its
point. The same points give the same places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from expunge.lineage.style import DPI, INK, QUIET, SMALL, Look

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]

Box: TypeAlias = tuple[float, float, float, float]
"""Left, bottom, right, top in pixels."""

_DISTANCES = (9, 18, 30, 44, 60, 80, 105, 135)
_ANGLES = (0, 180, 90, 270, *range(15, 360, 15))
_FAR, _DOTS = 12.0, 24
_ROUNDS = 12
_MARKED, _CROSSED, _OUTSIDE = 5.0, 100.0, 10.0


@dataclass(frozen=True)
class Spot:
    """A named point in data coordinates; `boxes`, in pixels, are its error bars."""

    name: str
    x: float
    y: float
    colour: str = INK
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True, eq=False)
class _Places:
    """P places for one name in pixels: boxes [P, 4]; dots [P, D, 4] of its line; cost [P] so far.

    The dots of a place near its point, which needs no line, are boxes of no size.
    """

    boxes: Floats
    dots: Floats
    cost: Floats

    def clashes(self, boxes: Floats, dots: Floats) -> Floats:
        """Pixels [P] shared with other names [O, 4]; lines through a name count a hundredfold."""
        crossed = _shared(self.boxes, dots) + _shared(self.dots, boxes).sum(axis=-1)
        found: Floats = _shared(self.boxes, boxes) + _CROSSED * crossed
        return found


def label_directly(
    axis: Axes, spots: Sequence[Spot], *, taken: Sequence[Box] = ()
) -> list[Annotation]:
    """Write every spot's name beside it, off all marks and off the `taken` boxes.

    Call it last: limits and scales must stand, since places are found in pixels.
    """
    import numpy as np

    if not spots:
        return []
    at = axis.transData.transform([(spot.x, spot.y) for spot in spots])
    bars = [box for spot in spots for box in spot.boxes]
    marks = np.concatenate([np.reshape([*taken, *bars], (-1, 4)), _around(at, 7.0)])
    frame = axis.get_window_extent()
    inside = np.array([[frame.x0, frame.y0, frame.x1, frame.y1]])
    names = [
        _places(point, _size(axis, spot.name), marks, inside)
        for spot, point in zip(spots, at, strict=True)
    ]
    chosen = _arrange(names)
    return [
        _write(axis, spot, point, places, pick)
        for spot, point, places, pick in zip(spots, at, names, chosen, strict=True)
    ]


def _arrange(names: Sequence[_Places]) -> list[int]:
    """The place that each name takes; names choose in turn, some rounds over."""
    import numpy as np

    chosen: dict[int, int] = {}
    for _ in range(_ROUNDS):
        before = dict(chosen)
        for name, places in enumerate(names):
            others = [(names[other], pick) for other, pick in chosen.items() if other != name]
            boxes = np.reshape([each.boxes[pick] for each, pick in others], (-1, 4))
            dots = np.reshape([each.dots[pick] for each, pick in others], (-1, 4))
            chosen[name] = int(np.argmin(places.cost + places.clashes(boxes, dots)))
        if chosen == before:
            break
    return [chosen[name] for name in range(len(names))]


def _places(point: Floats, size: tuple[float, float], marks: Floats, inside: Floats) -> _Places:
    """Places around a point, near ones first, with what they cover of the marks and outside."""
    import numpy as np

    half = np.array(size) / 2
    distance = np.repeat(np.array(_DISTANCES, dtype=np.float64), len(_ANGLES))
    angle = np.radians(np.tile(_ANGLES, len(_DISTANCES)))
    way = np.column_stack([np.cos(angle), np.sin(angle)])
    # The box touches the circle with the side that faces the point.
    middle = point + way * (distance[:, None] + half)
    boxes = np.column_stack([middle - half, middle + half])
    near = np.clip(point, boxes[:, :2], boxes[:, 2:])
    gap = np.linalg.norm(near - point, axis=1)
    along = np.linspace(0.1, 0.95, _DOTS)[None, :, None]
    dots = _around(point + along * (near - point)[:, None], np.where(gap > _FAR, 1.5, 0.0))
    covered = _MARKED * _shared(boxes, marks)
    outside = _OUTSIDE * (4 * half.prod() - _shared(boxes, inside))
    return _Places(boxes, dots, covered + outside + distance)


def _around(points: Floats, half: float | Floats) -> Floats:
    """Boxes [..., 4] of half a side around points [..., 2]; `half` by the first axis."""
    import numpy as np

    side = np.reshape(half, (-1, *[1] * (points.ndim - 1)))
    return np.concatenate([points - side, points + side], axis=-1)


def _shared(boxes: Floats, others: Floats) -> Floats:
    """Pixels [...] that each box [..., 4] shares with the others [O, 4] in all."""
    import numpy as np

    mine = boxes[..., None, :]
    low = np.maximum(mine[..., :2], others[:, :2])
    high = np.minimum(mine[..., 2:], others[:, 2:])
    return np.asarray(np.clip(high - low, 0, None).prod(axis=-1).sum(axis=-1))


def _size(axis: Axes, words: str) -> tuple[float, float]:
    """Width and height of a name, with some air."""
    text = axis.text(0, 0, words, fontsize=SMALL, in_layout=False)
    extent = text.get_window_extent()
    text.remove()
    return extent.width + 2, extent.height + 2


def _write(axis: Axes, spot: Spot, point: Floats, places: _Places, pick: int) -> Annotation:
    box, dots = places.boxes[pick], places.dots[pick]
    points = 72.0 / DPI  # a place is in pixels, an annotation's offset in points
    offset = ((box[:2] + box[2:]) / 2 - point) * points
    line: Look = {"arrowstyle": "-", "color": QUIET, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 4}
    return axis.annotate(
        spot.name,
        (spot.x, spot.y),
        xytext=(float(offset[0]), float(offset[1])),
        textcoords="offset points",
        ha="center",
        va="center",
        fontsize=SMALL,
        color=spot.colour,
        in_layout=False,
        arrowprops=line if dots[0, 2] > dots[0, 0] else None,
    )
