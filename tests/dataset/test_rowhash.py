from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expunge.dataset.rowhash import RowHash, checksum

HASH = RowHash.of(b"\x01" * 32, "test")
LARGE = pa.large_binary()
PAIR = pa.list_(pa.float32(), 2)
texts = st.lists(st.one_of(st.none(), st.text(max_size=12)), max_size=30)


@given(texts)
def test_equal_values_hash_alike_and_different_ones_apart(values: list[str | None]) -> None:
    hashes = HASH.column(pa.array(values, pa.string()), "c")
    assert len(set(hashes.tolist())) == len(set(values))


@given(texts, st.integers(0, 30), st.integers(0, 30))
def test_a_slice_hashes_as_its_copy(values: list[str | None], begin: int, length: int) -> None:
    array = pa.array(values, pa.string())
    cut = HASH.column(array.slice(begin, length), "c")
    assert np.array_equal(cut, HASH.column(array, "c")[begin : begin + length])


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.data())
def test_checksums_do_not_mind_the_order_and_subtract(values: list[int], data: object) -> None:
    rows = HASH.rows(pa.table({"a": values, "b": [str(value) for value in values]}))
    cut = data.draw(st.integers(0, len(values)))  # type: ignore[attr-defined]
    assert checksum(rows) == checksum(rows[::-1])
    assert (checksum(rows) - checksum(rows[:cut])) % 2**64 == checksum(rows[cut:])


@pytest.mark.parametrize(
    ("values", "changed"),
    [
        (pa.array([1.0, 0.0], pa.float32()), pa.array([1.0, -0.0], pa.float32())),
        (pa.array([True, None]), pa.array([True, False])),
        (pa.array([[1.0, 2.0]], PAIR), pa.array([[2.0, 1.0]], PAIR)),
        (pa.array([[1], None]), pa.array([[1], []])),
        (pa.array([{"a": 1}]), pa.array([{"a": 2}])),
        (pa.array(["ab", "c"]), pa.array(["a", "bc"])),
        (pa.array([b"\x00"]), pa.array([b""])),
        (pa.array([b"ab", b"c"], LARGE), pa.array([b"a", b"bc"], LARGE)),
        (pa.array([b"", None], LARGE), pa.array([None, b""], LARGE)),
        (pa.array([datetime.date(2026, 1, 1)]), pa.array([datetime.date(2026, 1, 2)])),
        (pa.array([None, [1.0, 2.0]], PAIR), pa.array([[1.0, 2.0], None], PAIR)),
        (pa.array(["x", "y"]).dictionary_encode(), pa.array(["y", "y"]).dictionary_encode()),
    ],
)  # fmt: skip
def test_every_kind_of_column_counts(values: pa.Array, changed: pa.Array) -> None:
    one, other = (HASH.rows(pa.table({"c": column})) for column in (values, changed))
    assert one.tolist() != other.tolist()
    assert np.array_equal(one, HASH.rows(pa.table({"c": values})))


def test_a_value_in_another_column_is_another_row() -> None:
    one = HASH.rows(pa.table({"a": [1], "b": [2]}))
    assert one[0] != HASH.rows(pa.table({"a": [2], "b": [1]}))[0]
    assert one[0] == HASH.rows(pa.table({"b": [2], "a": [1]}))[0]


def test_another_key_gives_other_hashes() -> None:
    other = RowHash.of(b"\x02" * 32, "test")
    column = pa.array(["a"])
    assert HASH.column(column, "c")[0] != other.column(column, "c")[0]
