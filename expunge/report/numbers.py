"""How a report writes numbers: as many digits as the error leaves, points for accuracies.

Mean absolute errors are in the units of the label, which may be of any size: four digits of them.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime

from expunge.evaluation import Metric

NOTHING = "–"
MINUS = "−"
_SHARES = ("accuracy", "generalisation")
_CHANGES = {"generalisation": "points", "relative_generalisation": "%"}


def value(metric: Metric | None, number: float | None) -> str:
    """A number of the metric's unit: `83.2 %`, `−2.0 points`, `0.509`, `41.27`."""
    if metric is None or number is None or not math.isfinite(number):
        return NOTHING
    return of(metric.name, number)


def of(name: str, number: float) -> str:
    """A finite number of the metric called `name`, in its unit."""
    if unit := _CHANGES.get(name):
        return _signed(f"{100 * number:+.1f} {unit}") if number else f"0 {unit}"
    if any(word in name for word in _SHARES):
        return f"{100 * number:.1f} %"
    return _signed(_plain(name, number))


def _plain(name: str, number: float) -> str:
    """Errors by their digits, all else by decimals."""
    if not name.endswith(("_error", "_error_before")):
        return f"{number:.3f}"
    return f"{number:,.0f}" if abs(number) >= 10_000 else f"{number:.4g}"


def interval(metric: Metric) -> str:
    """The two-sided 95 % interval: `0.456 to 0.561`; nothing where there is none."""
    if not (math.isfinite(metric.low) and math.isfinite(metric.high)):
        return ""
    ends = metric.low, metric.high
    if any(word in metric.name for word in _SHARES):
        sign = "+" if metric.name in _CHANGES else ""
        low, high = (_signed(f"{100 * end:{sign}.1f}") for end in ends)
    else:
        low, high = (_signed(_plain(metric.name, end)) for end in ends)
    return f"{low} to {high}"


def count(number: float, noun: str = "") -> str:
    """`1 row`, `2,000 rows`, `2,000`."""
    plural = "" if not noun or number == 1 else "s"
    return f"{number:,.0f} {noun}{plural}".strip()


def share(part: float, whole: float) -> str:
    """`80 %`; what is not nothing never shows as nothing."""
    if not whole:
        return NOTHING
    found = 100 * part / whole
    return (
        "under 0.1 %" if 0 < found < 0.1 else f"{found:.1f} %" if found < 10 else f"{found:.0f} %"
    )


def seconds(number: float) -> str:
    """`0.4 s`, `95.0 s`, `2 min 25 s`, `12 min`, `3.2 h`."""
    if number < 120:
        return f"{number:.1f} s"
    if number < 600:
        whole = round(number)
        return f"{whole // 60} min {whole % 60} s"
    return f"{number / 60:.0f} min" if number < 7200 else f"{number / 3600:.1f} h"


def day(moment: datetime | None) -> str:
    """`21 Nov 2026`, in UTC."""
    return f"{moment.astimezone(UTC):%-d %b %Y}" if moment else NOTHING


def minute(moment: datetime | None) -> str:
    """`21 Nov 2026, 09:36 UTC`."""
    return f"{moment.astimezone(UTC):%-d %b %Y, %H:%M} UTC" if moment else NOTHING


def span(first: datetime, last: datetime) -> str:
    """`1 to 20 Nov 2026` by their days, or the one day."""
    return day(first) if day(first) == day(last) else f"{day(first)} to {day(last)}"


def _signed(text: str) -> str:
    return text.replace("-", MINUS)
