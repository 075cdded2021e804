"""Mock requests: enough rows, of people the champion saw, the same for the same seed."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expunge.dataset import ArrowRows
from expunge.dataset.packed import packed_schema
from expunge.line.mock import MockError, draw_mock

SEEN = 2
SCHEMA = packed_schema(1, pa.int64())


def training(people: int, each: int, classes: int, newer: int = 0) -> ArrowRows:
    """Rows of some people, and of `newer` ones whom a later ingest brought."""
    subjects = np.repeat(np.arange(people + newer), each)
    ingests = np.where(subjects < people, 1 + subjects % SEEN, SEEN + 1)
    labels = np.random.default_rng(people).integers(0, classes, len(subjects))
    x = pa.FixedSizeListArray.from_arrays(
        pa.array(np.zeros(len(subjects), np.float32)), type=SCHEMA.field("x").type
    )
    columns = [
        x,
        pa.array(labels, pa.int64()),
        pa.array(subjects * 7 + 3, pa.int64()),
        pa.array(np.zeros(len(subjects), np.int8)),
        pa.array(ingests, pa.int32()),
    ]
    return ArrowRows((pa.record_batch(columns, schema=SCHEMA),), (1,))


@given(
    st.sampled_from(["subjects", "rows", "class"]),
    st.integers(20, 60),
    st.integers(1, 9),
    st.integers(0, 40),
    st.integers(0, 5),
    st.integers(0, 2**62),
)
def test_a_mock_request_has_enough_rows_that_the_champion_saw(
    kind, people, each, newer, draw, seed
) -> None:
    rows, table = people * each // 8 + 1, training(people, each, 3, newer)
    mock = draw_mock(table, kind, rows=rows, draw=draw, seed=seed, ingest_seen=SEEN)
    assert len(np.unique(mock.forget)) == mock.rows >= rows
    assert (table.ingests[mock.forget] <= SEEN).all()
    codes, labels = table.subject_codes, table.labels
    assert mock.people == len(np.unique(codes[mock.forget]))
    seen = np.flatnonzero(table.ingests <= SEEN)
    if kind == "rows":
        assert mock.rows == rows
    elif kind == "subjects":
        theirs = seen[np.isin(codes[seen], codes[mock.forget])]
        assert np.array_equal(theirs, mock.forget)
        assert mock.rows - each < rows
    else:
        (label,) = np.unique(labels[mock.forget])
        assert np.array_equal(seen[labels[seen] == label], mock.forget)


def test_draws_differ_and_come_back_with_their_seed() -> None:
    table = training(80, 10, 4)

    def draw(kind: str, number: int, seed: int = 5) -> np.ndarray:
        return draw_mock(  # type: ignore[arg-type]
            table, kind, rows=100, draw=number, seed=seed, ingest_seen=SEEN
        ).forget

    for kind in ("subjects", "rows", "class"):
        assert np.array_equal(draw(kind, 1), draw(kind, 1))
        assert not np.array_equal(draw(kind, 1), draw(kind, 2))
    assert not np.array_equal(draw("rows", 1), draw("rows", 1, seed=6))
    classes = [int(table.labels[draw("class", number)][0]) for number in range(4)]
    assert sorted(classes) == [0, 1, 2, 3]


def test_too_few_rows_and_a_class_too_small_are_told_with_their_numbers() -> None:
    few, many_classes = training(20, 10, 2, newer=50), training(80, 10, 40)
    with pytest.raises(MockError, match=r"saw 200 training rows; .* needs 202"):
        draw_mock(few, "rows", rows=101, draw=0, seed=0, ingest_seen=SEEN)
    with pytest.raises(MockError, match=r"largest class has .* needs 100"):
        draw_mock(many_classes, "class", rows=100, draw=0, seed=0, ingest_seen=SEEN)
