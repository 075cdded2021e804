"""OpenDSR requests: whose identity is meant, and why a request cannot be filed, by line."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expunge.requests import Filing
from expunge.requests.intake import Entry, Rejected, read_requests
from tests.requests.intake.people import ID, SECRET, asked, identity


def read(path: Path, *lines: Any, **options: Any) -> list[Entry]:
    written = "\n".join(each if isinstance(each, str) else json.dumps(each) for each in lines)
    path.write_text(written + "\n")
    given: dict[str, Any] = {"source": "crm", "regulation": "ccpa", "datasets": ("digits",)}
    return list(read_requests(path, **(given | options)))


def reason(path: Path, **change: Any) -> str:
    (found,) = read(path, asked(**change))
    assert isinstance(found, Rejected)
    assert SECRET not in repr(found)
    return found.reason


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    return tmp_path / "portal.opendsr.jsonl"


def test_a_request_is_filed_under_its_own_id_time_and_regulation(lines: Path) -> None:
    when = datetime(2026, 1, 31, 10, tzinfo=UTC)
    assert read(lines, asked()) == [Filing("crm", ID, SECRET, "gdpr", when, ("digits",))]


def test_the_command_says_which_identity_is_the_subject(lines: Path) -> None:
    both = [identity(), identity(identity_type="email", identity_value="x@example.org")]
    (found,) = read(lines, asked(subject_identities=both), identity_type="email")
    assert isinstance(found, Filing)
    assert found.subject_id == "x@example.org"


def test_an_id_in_capitals_is_the_same_request(lines: Path) -> None:
    (found,) = read(lines, asked(subject_request_id=ID.upper()))
    assert isinstance(found, Filing)
    assert found.external_id == ID


def test_a_request_of_opengdpr_1_has_no_regulation_and_is_gdpr(lines: Path) -> None:
    (found,) = read(lines, asked(api_version="1.0", regulation=None))
    assert isinstance(found, Filing)
    assert found.regulation == "gdpr"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"subject_request_type": "access"}, "asks for access: only erasure is done here"),
        ({"subject_request_type": "portability"}, "asks for portability: only erasure"),
        (
            {"subject_request_type": SECRET},
            "field subject_request_type is not one of erasure, access, portability",
        ),
        ({"subject_request_type": None}, "field subject_request_type is missing"),
        ({"submitted_time": None}, "field submitted_time is missing"),
        ({"submitted_time": "2026-01-31"}, "field submitted_time is not an RFC 3339 time"),
        ({"submitted_time": "2026-01-31T10:00:00"}, "field submitted_time is not an RFC 3339"),
        ({"submitted_time": "2999-01-31T10:00:00Z"}, "received_at lies in the future"),
        ({"submitted_time": "2026-02-31T10:00:00Z"}, "received_at is not an ISO 8601 time"),
        ({"subject_request_id": None}, "field subject_request_id is missing"),
        ({"subject_request_id": SECRET}, "field subject_request_id is not a UUID"),
        ({"subject_request_id": 7}, "field subject_request_id is not a text"),
        ({"regulation": None}, "field regulation is missing"),
        ({"regulation": SECRET}, "regulation is not one of gdpr, ccpa"),
        ({"api_version": "3.0"}, "field api_version is neither 1.x nor 2.x"),
        ({"subject_identities": None}, "has no identity of type controller_customer_id"),
        ({"subject_identities": SECRET}, "field subject_identities has the wrong form"),
        ({"subject_identities": [SECRET]}, "field subject_identities has the wrong form"),
        ({"subject_identities": [{}]}, "field subject_identities.identity_type is missing"),
        (
            {"subject_identities": [identity(identity_type="email")]},
            "has no identity of type controller_customer_id",
        ),
        (
            {"subject_identities": [identity(identity_format="sha256")]},
            "controller_customer_id is hashed (sha256): only raw ones can be matched",
        ),
        (
            {"subject_identities": [identity(identity_format=SECRET)]},
            "field subject_identities.identity_format is not one of raw, sha1, md5, sha256",
        ),
        (
            {"subject_identities": [identity(), identity(identity_value="another")]},
            "has several controller_customer_id identities",
        ),
        ({"subject_identities": [identity(identity_value="s" * 1001)]}, "subject_id is longer"),
    ],
)
def test_a_request_that_cannot_be_met_is_refused_with_its_reason(
    lines: Path, change: dict[str, Any], why: str
) -> None:
    assert reason(lines, **change).startswith(why)


def test_a_raw_identity_beside_its_hash_is_enough(lines: Path) -> None:
    both = [identity(identity_format="md5", identity_value="0" * 32), identity(), identity()]
    (found,) = read(lines, asked(subject_identities=both))
    assert isinstance(found, Filing)
    assert found.subject_id == SECRET


def test_bad_lines_are_told_by_number_and_the_others_go_through(lines: Path) -> None:
    twice = json.dumps(asked()).replace('{"regulation"', '{"regulation": "ccpa", "regulation"', 1)
    second = asked(subject_request_id=ID.replace("a", "b"))
    found = read(lines, asked(), "{", "", twice, '"text"', [asked(), 5], "[NaN]", second)
    assert [each.line for each in found] == [1, 2, 4, 5, 6, 6, 7, 8]
    assert {each.line: each.reason for each in found if isinstance(each, Rejected)} == {
        2: "is not JSON",
        4: "names a field twice",
        5: "is not a JSON object",
        6: "is not a JSON object",
        7: "is not JSON",
    }
    assert SECRET not in repr(found)


def test_opendsr_in_a_plain_jsonl_file_is_told_which_format_it_is(tmp_path: Path) -> None:
    found = read(tmp_path / "requests.jsonl", asked())
    assert found == [Rejected(1, "is written as --format opendsr")]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.just(SECRET),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*asked(), *identity(), SECRET]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(change=st.dictionaries(st.sampled_from([*asked(), "more"]), JSON, max_size=4))
def test_no_value_makes_it_fail_or_shows_a_subject(
    change: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "noise.opendsr.jsonl"
    found = read(path, asked() | change, asked())
    assert isinstance(found[-1], Filing)
    assert SECRET not in repr(found)
