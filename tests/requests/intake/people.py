"""Requests to write into test files: of one person who must never show."""

from __future__ import annotations

from typing import Any

SECRET = "secret-person"
ID = "a7551968-d5d6-44b2-9831-815ac9017798"


def identity(**change: Any) -> dict[str, Any]:
    """An OpenDSR identity object."""
    made = {
        "identity_type": "controller_customer_id",
        "identity_value": SECRET,
        "identity_format": "raw",
    }
    return without_none(made | change)


def asked(**change: Any) -> dict[str, Any]:
    """An OpenDSR 2.0 erasure request; a field that is changed to None is absent."""
    made = {
        "regulation": "gdpr",
        "subject_request_id": ID,
        "subject_request_type": "erasure",
        "submitted_time": "2026-01-31T10:00:00Z",
        "subject_identities": [identity()],
        "api_version": "2.0",
        "status_callback_urls": ["https://controller.example/callbacks"],
        "extensions": {"processor.example": {"property": 7}},
    }
    return without_none(made | change)


def event(**change: Any) -> dict[str, Any]:
    """A CloudEvents 1.0 event around an OpenDSR request; None for absent."""
    made = {
        "specversion": "1.0",
        "id": "event-1",
        "source": "/privacy/portal",
        "type": "example.privacy.erasure.requested",
        "time": "2026-02-01T00:00:00+01:00",
        "datacontenttype": "application/json; charset=utf-8",
        "data": asked(),
        "traceparent": "00-ab",
    }
    return without_none(made | change)


def without_none(made: dict[str, Any]) -> dict[str, Any]:
    """Only the fields that say something."""
    return {name: value for name, value in made.items() if value is not None}
