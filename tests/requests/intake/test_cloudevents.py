"""CloudEvents around OpenDSR requests: known by source and id, refused by line and reason."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expunge.requests import Filing
from expunge.requests.intake import Rejected
from tests.requests.conftest import World
from tests.requests.intake.people import SECRET, asked, event
from tests.requests.intake.test_opendsr import JSON, read


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    return tmp_path / "stream.cloudevents.jsonl"


def packed(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_an_event_is_filed_under_its_source_and_id(lines: Path) -> None:
    (found,) = read(lines, event())
    assert isinstance(found, Filing)
    assert (found.source, found.external_id) == ("/privacy/portal", "event-1")
    assert (found.subject_id, found.regulation) == (SECRET, "gdpr")


def test_an_event_that_is_sent_again_is_a_duplicate(world: World, lines: Path) -> None:
    again = read(lines, event(), event(time=None), event(id="event-2"), event(source="/other"))
    filings = [each for each in again if isinstance(each, Filing)]
    outcomes = [done.outcome for done in world.ledger.file(filings)]
    assert outcomes == ["accepted", "duplicate", "accepted", "accepted"]


def test_data_may_be_base64_and_attributes_null(lines: Path) -> None:
    found = read(
        lines,
        event(data=None, data_base64=packed(json.dumps(asked()))),
        event(datacontenttype="application/vnd.opendsr+json") | {"subject": None, "time": None},
    )
    assert all(isinstance(each, Filing) for each in found)


def test_a_line_may_be_a_batch(lines: Path) -> None:
    found = read(lines, [event(), event(id="event-2")], [], event(id="event-3"))
    assert [each.external_id for each in found if isinstance(each, Filing)] == [
        "event-1",
        "event-2",
        "event-3",
    ]
    assert [each.line for each in found] == [1, 1, 3]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"specversion": None}, "field specversion is missing"),
        ({"specversion": "0.3"}, "field specversion is not 1.0"),
        ({"specversion": 1.0}, "field specversion is not a text"),
        ({"id": None}, "field id is missing"),
        ({"id": ""}, "field id is missing"),
        ({"source": None}, "field source is missing"),
        ({"type": None}, "field type is missing"),
        ({"time": "yesterday"}, "field time is not an RFC 3339 time"),
        ({"datacontenttype": "text/xml"}, "field datacontenttype is not JSON"),
        ({"data": None}, "field data is missing"),
        ({"data": SECRET}, "field data is not a JSON object"),
        ({"data": json.dumps(asked())}, "field data is not a JSON object"),
        ({"data_base64": packed("{}")}, "gives both data and data_base64"),
        ({"data": None, "data_base64": "%%"}, "field data_base64 is not Base64"),
        ({"data": None, "data_base64": packed("{")}, "field data_base64 does not hold JSON"),
        ({"data": asked(submitted_time=None)}, "field submitted_time is missing"),
        ({"data": asked(subject_request_type="access")}, "asks for access: only erasure"),
        ({"id": "i" * 1001}, "id is longer than 1000 characters"),
    ],
)
def test_an_event_that_cannot_be_taken_is_refused_with_its_reason(
    lines: Path, change: dict[str, Any], why: str
) -> None:
    (found,) = read(lines, event(**change))
    assert isinstance(found, Rejected)
    assert found.reason.startswith(why)
    assert SECRET not in repr(found)


@given(change=st.dictionaries(st.sampled_from([*event(), "data_base64"]), JSON, max_size=4))
def test_no_value_makes_it_fail_or_shows_a_subject(
    change: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "noise.cloudevents.jsonl"
    found = read(path, event() | change, event())
    assert isinstance(found[-1], Filing)
    named = [value for value in (change.get("id"), change.get("source")) if value == SECRET]
    assert named or SECRET not in repr(found)
