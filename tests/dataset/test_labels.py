"""Labels that are real numbers: stored as they are, counted in the spec's bins, refused by row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expunge.dataset import (
    Store,
    collect_facts,
    forget_rows,
    look_up,
    seal_rows,
    stage_erasure,
    summary,
    training_rows,
    validate,
)
from expunge.dataset.errors import IngestError, ShardError
from expunge.dataset.labels import cell_of
from expunge.keys import KeyRing
from expunge.specs import DatasetSpec
from tests.dataset.world import KEY, digests, ingest, people, small_spec

RANGE = {"low": -2.0, "high": 8.0, "bins": 5}


def real_spec(**changes: object) -> DatasetSpec:
    return small_spec(**{"classes": None, "values": RANGE, **changes})


def measured(kind: pa.DataType | None = None, **labels: object) -> pa.Table:
    """People with a real label; `r3=…` is the label of the fourth row."""
    table = people()
    values = np.random.default_rng(1).uniform(-2, 8, table.num_rows).tolist()
    for row, label in labels.items():
        values[int(row[1:])] = label
    at = table.schema.get_field_index("label")
    return table.set_column(at, "label", pa.array(values, kind or pa.float64()))


@given(st.lists(st.floats(-2, 8), min_size=1), st.integers(2, 50))
def test_every_label_of_the_range_falls_in_one_bin_and_larger_labels_never_in_lower_ones(
    labels: list[float], bins: int
) -> None:
    spec = real_spec(values={**RANGE, "bins": bins})
    cells = cell_of(np.sort(labels), spec)
    assert cells.min() >= 0 and cells.max() < bins
    assert (np.diff(cells) >= 0).all()


def test_the_ends_belong_to_the_range_and_nothing_else_does() -> None:
    labels = np.array([-2.0, 0.0, 8.0, -2.0001, 8.0001, np.nan, np.inf, -np.inf])
    assert cell_of(labels, real_spec()).tolist() == [0, 1, 4, -1, -1, -1, -1, -1]


@pytest.mark.parametrize("kind", [pa.float64(), pa.float32()])
def test_labels_are_stored_as_they_are_and_counted_by_bin(
    tmp_path: Path, kind: pa.DataType
) -> None:
    table = measured(kind)
    store, _ = ingest(tmp_path, table, real_spec())
    read = pa.concat_tables([store.read(number) for number in store.numbers])
    order = read.sort_by("record_id")["label"], table.sort_by("record_id")["label"]
    assert order[0].type == pa.float64()
    assert order[0].to_pylist() == order[1].cast(pa.float64()).to_pylist()
    counts = np.zeros(5, int)
    for labels in summary(store).labels_by_role.values():
        for cell, rows in labels.items():
            counts[cell] += rows
    expected, _ = np.histogram(table["label"].to_numpy(), bins=5, range=(-2, 8))
    assert counts.tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        (float("nan"), "NaN or Inf"),
        (float("inf"), "NaN or Inf"),
        (None, "null"),
        (8.5, "label out of range"),
    ],
)
def test_a_label_that_is_no_number_of_the_range_is_refused_by_its_row(
    tmp_path: Path, label: float | None, reason: str
) -> None:
    with pytest.raises(IngestError) as caught:
        ingest(tmp_path, measured(r17=label), real_spec())
    assert f"column 'label', row 18: {reason}" in str(caught.value)
    assert "8.5" not in str(caught.value)


def test_a_real_number_is_no_class_and_text_is_no_real_number(tmp_path: Path) -> None:
    with pytest.raises(IngestError, match="integer"):
        ingest(tmp_path / "a", measured(), small_spec())
    texted = people().set_column(2, "label", pa.array(["high"] * 240))
    with pytest.raises(IngestError, match="a number"):
        ingest(tmp_path / "b", texted, real_spec())


def test_an_erasure_leaves_the_same_bytes_as_an_ingest_without_the_people(tmp_path: Path) -> None:
    table = measured()
    store, _ = ingest(tmp_path / "all", table, real_spec())
    staged = stage_erasure(real_spec(), store, KEY, {"person-3"}, tmp_path / "staged")
    kept = table.filter(pa.compute.not_equal(table["subject_id"], "person-3"))
    without, _ = ingest(tmp_path / "without", kept, real_spec())
    after, fresh = digests(tmp_path / "staged"), digests(without.folder)
    assert {name: after[name] for name in staged.files} == {
        name: fresh[name] for name in staged.files
    }


def test_the_last_row_of_a_bin_may_go_and_a_distribution_that_moves_is_seen(
    tmp_path: Path,
) -> None:
    low = {f"r{row}": -1.9 for row in range(8)}
    rest = {f"r{row}": 5.0 for row in range(8, 240)}
    store, _ = ingest(tmp_path, measured(**{**low, **rest}), real_spec())
    gone = {"person-0", "person-1"}
    found = facts(store, gone, tmp_path / "staged")
    assert found.labels_lost == 1
    assert validate(real_spec(), found).success
    assert found.label_drift == pytest.approx(8 / 240)
    strict = {"max_label_drift": 0.01, "min_rows": 10, "min_rows_per_role": 1}
    refused = validate(real_spec(expectations=strict), found)
    assert [each.column for each in refused.failed] == ["label_drift"]


def facts(store: Store, gone: set[str], staging: Path):  # type: ignore[no-untyped-def]
    staged = stage_erasure(store.spec, store, KEY, gone, staging)
    return collect_facts(store.spec, store, staged, KEY, gone)


def test_rows_for_training_and_sealed_rows_have_real_labels_and_none_is_still_real(
    tmp_path: Path,
) -> None:
    store, _ = ingest(tmp_path, measured(), real_spec())
    rows = training_rows(store, real_spec(), "TVRFE", tmp_path / "rows.arrow")
    assert rows.labels.dtype == np.float64
    assert sorted(rows.labels) == sorted(measured()["label"].to_pylist())
    assert str(rows[0][1].dtype) == "torch.float64"
    keys, path = KeyRing(tmp_path / "keys"), tmp_path / "b.sealed"
    seal_rows(store, KEY, {"person-4"}, keys=keys, batch_id="b", path=path)
    everyone = [forget_rows(real_spec(), keys, {"b": path}, where=None)]
    assert all(each.labels.dtype == np.float64 for each in everyone)
    assert forget_rows(real_spec(), keys, {}).labels.dtype == np.float64
    assert sum(look_up(store, KEY, {"person-4"})["person-4"].by_label.values()) == 4


def test_bins_do_not_move_under_stored_rows(tmp_path: Path) -> None:
    store, _ = ingest(tmp_path, measured(), real_spec())
    for values in ({**RANGE, "high": 9.0}, {**RANGE, "bins": 6}):
        with pytest.raises(ShardError, match="set values back to"):
            _ = Store(store.folder, real_spec(values=values)).manifest
    with pytest.raises(ShardError, match="set values back to"):
        _ = Store(store.folder, small_spec()).manifest
