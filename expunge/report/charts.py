"""Small pictures of a report, as inline SVG: how a criterion was decided, where a metric stands.

Colours and their meaning are those of the plots (`expunge.lineage.style`): grey the champion, sky
blue the candidate, black dashes what is expected. Nothing is told by colour alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from expunge.evaluation import Criterion
from expunge.lineage.style import CANDIDATE, CHAMPION, GREEN, INK, ORANGE, QUIET, RULE, VERMILLION
from expunge.report.value import MeasuredRow

OUTCOMES = {"pass": GREEN, "fail": VERMILLION, "inconclusive": ORANGE}
_WIDTH, _HEIGHT, _LIMIT = 320, 36, 2.0
_SMALL, _LOW = 132, 20


def criterion(found: Criterion) -> Markup:
    """The criterion's estimate and bounds in units of its margin: right of the line is too much.

    A bar from bound to bound that ends left of the line passes, one that begins right of it fails,
    and one across it is inconclusive; it is grey where the bounds would decide, but were not let
    to, for example on too few rows. Empty where there are no bounds, as for single people, of
    whom a p value decides.
    """
    sign = 1 if found.name == "forgetting" else -1
    ends = [sign * end / found.margin for end in (found.lower, found.upper)]
    gap = sign * (found.estimate - found.reference) / found.margin
    if not all(map(math.isfinite, (gap, *ends))):
        return Markup("")
    low, high = sorted(ends)
    undecided = found.outcome == "inconclusive" and not low <= 1 <= high
    colour, middle = QUIET if undecided else OUTCOMES[found.outcome], 12
    parts = [
        _rect(0, middle - 7, _across(1), 14, "#F2F2F2"),
        _line(0, middle, _WIDTH, middle, RULE),
        _line(_across(0), middle - 7, _across(0), middle + 7, INK, dashes=True),
        _line(_across(1), middle - 10, _across(1), middle + 10, INK, width=2),
        _line(_across(low), middle, _across(high), middle, colour, width=5),
        *_ticks(low, high, middle, colour),
        *([_dot(_across(gap), middle, colour)] if abs(gap) <= _LIMIT else []),
        _text(_across(0), _HEIGHT - 2, "as expected"),
        _text(_across(1), _HEIGHT - 2, "margin"),
    ]
    words = f"{found.name}: {gap:.2f} of the margin used, {low:.2f} to {high:.2f} by its bounds"
    return _svg(_WIDTH, _HEIGHT, parts, words)


def metric(row: MeasuredRow) -> Markup:
    """Champion (grey) and candidate (blue, with its interval) against what is expected (dashes)."""
    now, before = row.metric, row.before
    marks = [now.value, now.low, now.high, now.reference, before.value if before else None]
    known = [mark for mark in marks if mark is not None and math.isfinite(mark)]
    if not math.isfinite(now.value) or len(known) < 2:
        return Markup("")
    low, high = min(known), max(known)
    room = (high - low) * 0.08 or 0.01
    middle = _LOW / 2

    def at(mark: float) -> float:
        return 4 + (_SMALL - 8) * (mark - low + room) / (high - low + 2 * room)

    parts = [_line(0, middle, _SMALL, middle, RULE)]
    if math.isfinite(now.low) and math.isfinite(now.high):
        parts.append(_line(at(now.low), middle, at(now.high), middle, CANDIDATE, width=4))
    if now.reference is not None and math.isfinite(now.reference):
        parts.append(
            _line(at(now.reference), 0, at(now.reference), _LOW, INK, width=1.5, dashes=True)
        )
    if before is not None and math.isfinite(before.value):
        parts.append(_dot(at(before.value), middle, CHAMPION))
    parts.append(_dot(at(now.value), middle, CANDIDATE))
    return _svg(_SMALL, _LOW, parts, "champion, candidate and what is expected, on one line")


def _across(share: float) -> float:
    """Pixels of a share of the margin, −2 … 2; beyond that, the edge."""
    inside = max(-_LIMIT, min(_LIMIT, share))
    return 10 + (_WIDTH - 20) * (inside + _LIMIT) / (2 * _LIMIT)


def _ticks(low: float, high: float, middle: float, colour: str) -> list[Markup]:
    """The ends of the bar; an arrow's head where it goes on beyond the picture."""
    parts = []
    for end, outwards in ((low, -1), (high, 1)):
        place = _across(end)
        if abs(end) <= _LIMIT:
            parts.append(_line(place, middle - 5, place, middle + 5, colour, width=2))
        elif end * outwards > 0:
            tip = place + 7 * outwards
            points = f"{place:.1f},{middle - 6:.1f} {tip:.1f},{middle:.1f} {place:.1f},{middle + 6}"
            parts.append(Markup('<polygon points="{}" fill="{}"/>').format(points, colour))
    return parts


def _svg(width: int, height: int, parts: Sequence[Markup], words: str) -> Markup:
    return Markup(
        '<svg viewBox="0 0 {} {}" width="{}" height="{}" role="img" aria-label="{}">{}</svg>'
    ).format(width, height, width, height, words, Markup("").join(parts))


def _line(
    x1: float,
    y1: float,
    x2: float,
    y2: float,
    colour: str,
    *,
    width: float = 1,
    dashes: bool = False,
) -> Markup:
    return Markup(
        '<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" stroke="{}" stroke-width="{}" '
        'stroke-dasharray="{}"/>'
    ).format(x1, y1, x2, y2, colour, width, "3 2" if dashes else "none")


def _rect(x: float, y: float, width: float, height: float, colour: str) -> Markup:
    return Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="{}"/>').format(
        x, y, width, height, colour
    )


def _dot(x: float, y: float, colour: str) -> Markup:
    return Markup(
        '<circle cx="{:.1f}" cy="{:.1f}" r="5" fill="{}" stroke="#fff" stroke-width="1.5"/>'
    ).format(x, y, colour)


def _text(x: float, y: float, words: str) -> Markup:
    return Markup(
        '<text x="{:.1f}" y="{:.1f}" font-size="10" fill="{}" text-anchor="middle">{}</text>'
    ).format(x, y, QUIET, words)
