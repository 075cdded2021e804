"""Deadlines follow the calendar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expunge.requests.deadlines import due_at

MOMENTS = st.datetimes(
    min_value=datetime(1970, 1, 1), max_value=datetime(8000, 1, 1), timezones=st.just(UTC)
)


@pytest.mark.parametrize(
    ("received", "due", "extended"),
    [
        ("2026-01-31", "2026-02-28", "2026-04-30"),
        ("2028-01-31", "2028-02-29", "2028-04-30"),
        ("2026-12-15", "2027-01-15", "2027-03-15"),
        ("2026-11-30", "2026-12-30", "2027-02-28"),
    ],
)
def test_gdpr_counts_calendar_months(received: str, due: str, extended: str) -> None:
    at = datetime.fromisoformat(received).replace(tzinfo=UTC)
    assert due_at("gdpr", at).date().isoformat() == due
    assert due_at("gdpr", at, extended=True).date().isoformat() == extended


@given(MOMENTS)
def test_a_gdpr_month_has_28_to_31_days_and_keeps_the_time(received: datetime) -> None:
    due = due_at("gdpr", received)
    assert timedelta(28) <= due - received <= timedelta(31)
    assert due.timetz() == received.timetz()


@given(MOMENTS)
def test_ccpa_counts_days(received: datetime) -> None:
    assert due_at("ccpa", received) - received == timedelta(45)
    assert due_at("ccpa", received, extended=True) - received == timedelta(90)
