"""One JSON document over many lines: read element by element, and told by line."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expunge.requests import Filing
from expunge.requests.intake import LONGEST_LINE, Entry, Rejected, document, read_requests
from expunge.requests.intake.document import objects_of_document
from tests.requests.intake.people import ID, asked, event


def read(path: Path, content: bytes) -> list[Entry]:
    path.write_bytes(content)
    return list(read_requests(path, source="crm", regulation="gdpr", datasets=("digits",)))


def found_in(text: str) -> list[Any]:
    return [
        (number, str(found) if isinstance(found, Exception) else found)
        for number, found in objects_of_document(io.BytesIO(text.encode()))
    ]


def test_a_document_is_one_request_or_an_array_of_them(tmp_path: Path) -> None:
    one = json.dumps(asked(), indent=2).encode()
    assert [each.line for each in read(tmp_path / "one.json", b"\xef\xbb\xbf" + one)] == [1]
    several = json.dumps([asked(), asked(submitted_time=None), asked()], indent=1).encode()
    found = read(tmp_path / "several.json", several)
    assert [type(each) for each in found] == [Filing, Rejected, Filing]
    rows = several.decode().splitlines()
    starts = [number for number, row in enumerate(rows, start=1) if row == " {"]
    assert [each.line for each in found] == starts


def test_a_document_may_be_a_batch_of_events(tmp_path: Path) -> None:
    batch = json.dumps([event(), event(id="event-2")], indent=2).encode()
    found = read(tmp_path / "batch.cloudevents.json", batch)
    assert [each.external_id for each in found if isinstance(each, Filing)] == [
        "event-1",
        "event-2",
    ]


def test_a_long_document_on_one_line_is_read_and_a_long_request_is_refused(tmp_path: Path) -> None:
    many = [asked(subject_request_id=f"{ID[:-6]}{number:06}") for number in range(400)]
    many[7] = asked(extensions={"processor.example": "x" * LONGEST_LINE})
    found = read(tmp_path / "long.json", json.dumps(many).encode())
    assert found[7] == Rejected(1, f"is longer than {LONGEST_LINE} bytes")
    assert sum(isinstance(each, Filing) for each in found) == 399


def test_an_element_that_is_not_utf8_or_not_json_stops_no_other(tmp_path: Path) -> None:
    good = json.dumps(asked()).encode()
    broken = [good.replace(b"secret", b"\xffsecret"), b'{"a" 1}', b'{"a": 1, "a": 2}', b"{[}]"]
    found = read(tmp_path / "r.json", b"[" + b",\n".join([good, *broken, good]) + b"]")
    assert [each.line for each in found] == [1, 2, 3, 4, 5, 6]
    assert [each.reason for each in found if isinstance(each, Rejected)] == [
        "is not UTF-8",
        "is not JSON",
        "names a field twice",
        "is not JSON",
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('[{"a": 1}\n,\n]', "is not JSON"),
        ('[{"a": 1}\n{"b": 2}]', "is not JSON"),
        ('[{"a": 1}, 7]', "is not a JSON object"),
        ('[{"a": 1}, {"b": "', "is not JSON"),
        ('[{"a": 1}', "is not JSON"),
        ('[{"a": 1}] x', "is not part of the document's one value"),
        ('{"a": 1} {"b": 2}', "is not part of the document's one value"),
    ],
)
def test_past_a_broken_place_nothing_is_read_and_that_is_told(text: str, why: str) -> None:
    first, *_, last = found_in(text)
    assert first == (1, {"a": 1})
    assert last[1] == f"{why}; nothing after it was read"


def test_an_empty_document_holds_nothing() -> None:
    assert found_in(" \n") == found_in("[ ]\n") == []


OBJECTS = st.lists(
    st.dictionaries(st.text(max_size=4), st.text('ab"\\{}[],\n\u20ac', max_size=9), max_size=3),
    max_size=6,
)


@given(objects=OBJECTS, block=st.integers(1, 9), indent=st.sampled_from([None, 0, 2]))
def test_however_it_is_cut_into_blocks_the_elements_come_out_whole(
    objects: list[dict[str, str]], block: int, indent: int | None
) -> None:
    for ascii_only in (True, False):
        text = json.dumps(objects, indent=indent, ensure_ascii=ascii_only)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(document, "_BLOCK", block)
            assert [found for _, found in found_in(text)] == objects


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail(noise: bytes) -> None:
    good = b'[{"a": 1},\n'
    assert next(iter(objects_of_document(io.BytesIO(good + noise)))) == (1, {"a": 1})
    assert len(list(objects_of_document(io.BytesIO(good + noise)))) >= 2
