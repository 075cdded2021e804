"""Files of requests: each bad line is told by number and reason, the others go through."""

from __future__ import annotations

import io
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expunge.requests import Filing, IntakeError
from expunge.requests.intake import LONGEST_LINE, Format, Rejected, read_requests


def read(path: Path, content: bytes, format: Format | None = None) -> list[Filing | Rejected]:
    path.write_bytes(content)
    return list(
        read_requests(path, format=format, source="crm", regulation="gdpr", datasets=("digits",))
    )


def rejected(found: list[Filing | Rejected]) -> dict[int, str]:
    return {each.line: each.reason for each in found if isinstance(each, Rejected)}


def accepted(found: list[Filing | Rejected]) -> list[str]:
    return [each.external_id for each in found if isinstance(each, Filing)]


def test_a_csv_line_may_say_what_the_defaults_leave_open(tmp_path: Path) -> None:
    found = read(
        tmp_path / "r.csv",
        b"\xef\xbb\xbfid,subject_id,received_at,regulation,datasets,source,note\r\n"
        b'1,"p,1",2024-01-31T10:00:00,CCPA,digits; faces,web,hello\r\n'
        b"2,p2,2024-01-31T10:00:00+02:00,,,,\r\n"
        b"\r\n"
        b"3,p3,,,,,\n",
    )
    assert found == [
        Filing(
            "web", "1", "p,1", "ccpa", datetime(2024, 1, 31, 10, tzinfo=UTC), ("digits", "faces")
        ),
        Filing("crm", "2", "p2", "gdpr", datetime(2024, 1, 31, 8, tzinfo=UTC), ("digits",)),
        Filing("crm", "3", "p3", "gdpr", None, ("digits",)),
    ]


def test_bad_csv_lines_are_rejected_by_number_and_the_others_go_through(tmp_path: Path) -> None:
    found = read(
        tmp_path / "r.csv",
        b"id,subject_id,received_at,regulation,dataset\n"
        b"1,p1,,,\n"
        b"2,secret\n"
        b"3,\xff\xfesecret,,,\n"
        b"4,sec\0ret,,,\n"
        b'5,"secret,,,\n'
        b",secret,,,\n"
        b"7,,,,\n"
        b"8,secret,yesterday,,\n"
        b"9,secret,2999-01-01,,\n"
        b"10,secret,,hipaa,\n"
        b"11,secret,,,../../etc\n"
        b"12," + b"s" * LONGEST_LINE * 3 + b",,,\n"
        b"13," + b"s" * 2000 + b",,,\n"
        b"14,p14,,,\n",
    )
    assert accepted(found) == ["1", "14"]
    assert rejected(found) == {
        3: "has 2 fields instead of 5",
        4: "is not UTF-8",
        5: "has a NUL byte",
        6: "is not CSV",
        7: "field id is missing",
        8: "field subject_id is missing",
        9: "received_at is not an ISO 8601 time",
        10: "received_at lies in the future",
        11: "regulation is not one of gdpr, ccpa",
        12: "datasets has a name that no dataset can have",
        13: f"is longer than {LONGEST_LINE} bytes",
        14: "subject_id is longer than 1000 characters",
    }
    assert "secret" not in str(found)


def test_bad_json_lines_are_rejected_by_number_and_the_others_go_through(tmp_path: Path) -> None:
    found = read(
        tmp_path / "r.jsonl",
        b'{"id": "1", "subject_id": "p1", "datasets": ["digits", "faces"]}\n'
        b'{"id": 2, "subject_id": "secret"}\n'
        b'{"id": "3", "subject_id": "secret", "datasets": [1]}\n'
        b'{"id": "4", "subject_id": "secret"\n'
        b'["5", "secret"]\n'
        b'{"id": "6", "id": "7", "subject_id": "secret"}\n'
        b'{"id": "7", "subject_id": "\\ud800secret"}\n'
        b'{"id": "8", "subject_id": null}\n'
        b'{"id": "9", "subject_id": "secret", "regulation": 5}\n'
        b'{"id": "10", "subject_id": "secret", "dataset": "digits", "datasets": ["faces"]}\n'
        + b"["
        * 50_000
        + b"\n"
        b'{"id": "12", "subject_id": "p12", "received_at": null}',
    )
    assert accepted(found) == ["1", "12"]
    assert rejected(found) == {
        2: "field id is not a text",
        3: "field datasets is not a list of texts",
        4: "is not JSON",
        5: "is not a JSON object",
        6: "names a field twice",
        7: "subject_id is not valid Unicode",
        8: "field subject_id is missing",
        9: "field regulation is not a text",
        10: "gives both dataset and datasets",
        11: "is not JSON",
    }
    assert "secret" not in str(found)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("r.csv", b"", "lacks id and subject_id"),
        ("r.csv", b"id,name\n1,secret\n", "lacks subject_id"),
        ("r.csv", b"id,subject_id,id\n", "names a column twice"),
        ("r.csv", "id,subject_id\n".encode("utf-16"), "is not UTF-8"),
        ("r.txt", b"id,subject_id\n", "format cannot be told"),
    ],
)
def test_a_file_that_cannot_be_read_at_all_is_an_error(
    tmp_path: Path, name: str, content: bytes, why: str
) -> None:
    with pytest.raises(IntakeError, match=why):
        read(tmp_path / name, content)


def test_an_absent_file_and_a_folder_are_errors(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.csv", tmp_path):
        with pytest.raises(IntakeError, match="cannot be opened"):
            list(read_requests(path, format="csv", source="s", regulation="gdpr", datasets=("d",)))


def test_standard_input_is_read_with_a_given_format(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = SimpleNamespace(buffer=io.BytesIO(b"id,subject_id\n1,p1\n"))
    monkeypatch.setattr(sys, "stdin", stream)
    found = read_requests("-", format="csv", source="s", regulation="gdpr", datasets=("d",))
    assert accepted(list(found)) == ["1"]
    with pytest.raises(IntakeError, match="pass --format"):
        list(read_requests("-", source="s", regulation="gdpr", datasets=("d",)))


@given(st.binary(max_size=300), st.sampled_from(["csv", "jsonl"]))
def test_no_bytes_make_it_fail_or_lose_a_good_line(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, format: Format
) -> None:
    good = {
        "csv": (b"id,subject_id\nfirst,p1\n", b"\nlast,p2\n"),
        "jsonl": (
            b'{"id": "first", "subject_id": "p1"}\n',
            b'\n{"id": "last", "subject_id": "p2"}\n',
        ),
    }[format]
    path = tmp_path_factory.getbasetemp() / f"noise.{format}"
    found = accepted(read(path, good[0] + noise + good[1]))
    assert found[0] == "first" and found[-1] == "last"
