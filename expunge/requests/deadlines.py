"""When a request is due, by calendar.

GDPR art. 12(3): one month of receipt, two further months with notice to the person. A month
that lacks the day ends on its last day (Regulation 1182/71, art. 3(2)(c)).
CCPA, 11 CCR § 7021(b): 45 calendar days, at most 90 with notice.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import lru_cache

from dateutil.relativedelta import relativedelta

from expunge.requests.values import Regulation

_GDPR, _GDPR_EXTENDED = relativedelta(months=1), relativedelta(months=3)


def due_at(regulation: Regulation, received_at: datetime, extended: bool = False) -> datetime:
    """The last moment to answer a request that was received at `received_at` (aware)."""
    if regulation == "gdpr":
        return datetime.combine(_gdpr(received_at.date(), extended), received_at.timetz())
    return received_at + timedelta(days=90 if extended else 45)


@lru_cache(maxsize=4_096)
def _gdpr(received: date, extended: bool) -> date:
    """The day is what a calendar month moves; an import has many requests of one day."""
    due: date = received + (_GDPR_EXTENDED if extended else _GDPR)
    return due
