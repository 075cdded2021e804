"""A staged erasure that is damaged in one way fails the expectation that watches for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from expunge.dataset import StagedErasure, Store, collect_facts, stage_erasure, validate
from expunge.dataset.store import index_name, shard_name, write_parquet, write_shard
from tests.dataset.world import KEY, ingest, people, small_spec, tensor_spec, with_pixels

CLAIMED = {"person-1", "person-2", "person-3"}
Damage = Callable[[pa.Table, pa.Table], pa.Table]


def put(column: str, row: int, value: object) -> Damage:
    def damage(rows: pa.Table, before: pa.Table) -> pa.Table:
        values = rows[column].to_pylist()
        values[row] = value
        field = rows.schema.field(column)
        at = rows.schema.get_field_index(column)
        return rows.set_column(at, field, pa.array(values, field.type))

    return damage


def drop_another(rows: pa.Table, before: pa.Table) -> pa.Table:
    return rows.slice(1)


def leave_claimed(rows: pa.Table, before: pa.Table) -> pa.Table:
    return before


def repeat_a_row(rows: pa.Table, before: pa.Table) -> pa.Table:
    return pa.concat_tables([rows.slice(0, 1), rows])


def another_role(rows: pa.Table, before: pa.Table) -> pa.Table:
    role = "T" if rows["role"][0].as_py() != "T" else "E"
    return put("role", 0, role)(rows, before)


def swap_rows(rows: pa.Table, before: pa.Table) -> pa.Table:
    return rows.take([1, 0, *range(2, rows.num_rows)])


def widen(rows: pa.Table, before: pa.Table) -> pa.Table:
    return rows.append_column("note", pa.array(["x"] * rows.num_rows))


def narrow(rows: pa.Table, before: pa.Table) -> pa.Table:
    return rows.drop_columns(["weight"])


def null_weight(rows: pa.Table, before: pa.Table) -> pa.Table:
    at = rows.schema.get_field_index("weight")
    weights = [None, *rows["weight"].to_pylist()[1:]]
    return rows.set_column(at, pa.field("weight", pa.float32()), pa.array(weights, pa.float32()))


def erased_record_under_another(rows: pa.Table, before: pa.Table) -> pa.Table:
    gone = next(r for r in before.to_pylist() if r["subject_id"] in CLAIMED)
    return put("record_id", 0, gone["record_id"])(rows, before)


def staged_erasure(tmp_path: Path, store: Store) -> StagedErasure:
    return stage_erasure(store.spec, store, KEY, CLAIMED, tmp_path / "staged")


def damaged(tmp_path: Path, store: Store, damage: Damage) -> StagedErasure:
    """The staged erasure with its first shard (and its index) written as `damage` says."""
    staged = staged_erasure(tmp_path, store)
    number = staged.touched[0]
    rows = damage(Store(staged.staging, store.spec).read(number), store.read(number))
    write_parquet(rows, staged.staging / shard_name(number), dictionaries=["subject_id"])
    return staged


def failed(store: Store, staged: StagedErasure, *, confirmed: bool = False) -> set[str]:
    facts = collect_facts(store.spec, store, staged, KEY, CLAIMED)
    verdict = validate(store.spec, facts, confirmed=confirmed)
    assert verdict.success == (not verdict.failed)
    return {expectation.column for expectation in verdict.failed}


def test_an_erasure_as_it_should_be_passes_every_expectation(tmp_path: Path, store: Store) -> None:
    staged = staged_erasure(tmp_path, store)
    facts = collect_facts(store.spec, store, staged, KEY, CLAIMED)
    assert (facts.rows_before, facts.rows_erased, facts.rows_after) == (240, 12, 228)
    assert facts.checksum_after == facts.checksum_expected
    verdict = validate(store.spec, facts)
    assert verdict.success
    assert len(verdict.expectations) >= 20


def test_the_verdict_is_json_and_names_nobody(tmp_path: Path, store: Store) -> None:
    facts = collect_facts(store.spec, store, staged_erasure(tmp_path, store), KEY, CLAIMED)
    verdict = validate(store.spec, facts)
    text = json.dumps(verdict.payload()) + repr(facts) + json.dumps(facts.columns())
    assert "person-" not in text
    assert "record-" not in text
    assert json.loads(json.dumps(verdict.payload()))["success"] is True


def test_facts_are_the_same_when_computed_again(tmp_path: Path, store: Store) -> None:
    staged = staged_erasure(tmp_path, store)
    first, second = (collect_facts(store.spec, store, staged, KEY, CLAIMED) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("damage", "columns"),
    [
        (drop_another, {"rows_after", "checksum_after", "others_rows_lost"}),
        (put("weight", 0, 0.5), {"checksum_after", "others_rows_lost", "rows_appeared"}),
        (another_role, {"checksum_after", "others_rows_lost", "rows_appeared"}),
        (leave_claimed, {"rows_after", "claimed_rows_left", "records_in_both", "rows_appeared"}),
        (erased_record_under_another, {"records_in_both", "others_rows_lost"}),
        (repeat_a_row, {"rows_after", "duplicate_records", "rows_appeared"}),
        (put("height", 2, float("nan")), {"non_finite", "checksum_after"}),
        (put("height", 2, float("-inf")), {"non_finite"}),
        (put("label", 1, 4), {"labels_out_of_range"}),
        (put("label", 1, -1), {"labels_out_of_range"}),
        (swap_rows, {"unsorted_rows"}),
        (widen, {"schema_changes"}),
        (narrow, {"schema_changes", "others_rows_lost"}),
        (null_weight, {"nulls", "schema_changes"}),
        (put("subject_id", 0, "somebody"), {"misplaced_rows", "others_rows_lost"}),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)  # fmt: skip
def test_damage_fails_the_expectation_that_watches_for_it(
    tmp_path: Path, store: Store, damage: Damage, columns: set[str]
) -> None:
    assert columns <= failed(store, damaged(tmp_path, store, damage))


def test_swapped_rows_alone_leave_the_checksum_as_it_is(tmp_path: Path, store: Store) -> None:
    found = failed(store, damaged(tmp_path, store, swap_rows))
    assert not found & {"checksum_after", "others_rows_lost", "rows_appeared", "rows_after"}


def test_a_changed_tensor_is_found(tmp_path: Path) -> None:
    store, _ = ingest(tmp_path, with_pixels(people()), tensor_spec())
    value = [0.0, 0.0, 0.0, 0.0, 0.0, float("inf")]
    found = failed(store, damaged(tmp_path, store, put("pixels", 3, value)))
    assert {"non_finite", "checksum_after", "others_rows_lost"} <= found


def test_a_truncated_shard_is_found(tmp_path: Path, store: Store) -> None:
    staged = staged_erasure(tmp_path, store)
    path = staged.staging / shard_name(staged.touched[0])
    path.write_bytes(path.read_bytes()[:200])
    assert {"unreadable_shards", "rows_after", "others_rows_lost"} <= failed(store, staged)


def test_a_shard_that_was_not_staged_is_found(tmp_path: Path, store: Store) -> None:
    staged = staged_erasure(tmp_path, store)
    (staged.staging / shard_name(staged.touched[0])).unlink()
    assert {"unstaged_shards", "claimed_rows_left"} <= failed(store, staged)


def test_a_needless_shard_is_found(tmp_path: Path, store: Store) -> None:
    staged = staged_erasure(tmp_path, store)
    other = next(number for number in store.numbers if number not in staged.touched)
    for name in (shard_name(other), index_name(other)):
        (staged.staging / name).write_bytes((store.folder / name).read_bytes())
    assert failed(store, staged) == {"needless_shards"}


def test_a_stale_index_and_a_stale_manifest_are_found(tmp_path: Path, store: Store) -> None:
    staged = staged_erasure(tmp_path, store)
    for name in (index_name(staged.touched[0]), "manifest.json"):
        (staged.staging / name).write_bytes((store.folder / name).read_bytes())
    assert failed(store, staged) == {"stale_indexes", "stale_manifest"}


def test_rows_moved_to_another_shard_are_found(tmp_path: Path, store: Store) -> None:
    staged = staged_erasure(tmp_path, store)
    one, other = staged.touched[:2]
    rewritten = Store(staged.staging, store.spec)
    moved = rewritten.read(other).slice(0, 1)
    rest = rewritten.read(other).slice(1)
    placement = store.placement(KEY)
    write_shard(staged.staging, other, rest, placement, store.spec)
    both = pa.concat_tables([rewritten.read(one), moved]).sort_by(
        [("subject_id", "ascending"), ("record_id", "ascending")]
    )
    write_shard(staged.staging, one, both, placement, store.spec)
    found = failed(store, staged)
    assert {"misplaced_rows", "others_rows_lost", "rows_appeared"} <= found
    assert "rows_after" not in found
    assert "checksum_after" not in found


# Sizes and labels


def one_class_per_person(tmp_path: Path) -> Store:
    """Person n has rows of label n mod 20 only; label 0 is persons 0, 20, 40."""
    table = people()
    labels = np.repeat(np.arange(60) % 20, 4)
    table = table.set_column(2, "label", pa.array(labels.astype(np.int64)))
    return ingest(tmp_path, table, small_spec(classes=20))[0]


def test_a_lost_label_fails_unless_an_operator_confirmed(tmp_path: Path) -> None:
    store = one_class_per_person(tmp_path)
    names = {"person-1", "person-21", "person-41"}
    staged = stage_erasure(store.spec, store, KEY, names, tmp_path / "staged")
    facts = collect_facts(store.spec, store, staged, KEY, names)
    assert facts.labels_lost == 1
    assert {e.column for e in validate(store.spec, facts).failed} == {"labels_lost"}
    assert validate(store.spec, facts, confirmed=True).success


def test_drift_is_the_total_variation_distance(tmp_path: Path) -> None:
    store = one_class_per_person(tmp_path)
    names = {"person-1", "person-21"}
    staged = stage_erasure(store.spec, store, KEY, names, tmp_path / "staged")
    facts = collect_facts(store.spec, store, staged, KEY, names)
    before, after = np.full(20, 12.0), np.full(20, 12.0)
    after[1] = 4
    expected = np.abs(before / before.sum() - after / after.sum()).sum() / 2
    assert facts.label_drift == pytest.approx(expected)
    strict = small_spec(classes=20, expectations={"min_rows": 10, "max_label_drift": 0.01,
                                                  "min_rows_per_role": 1})  # fmt: skip
    assert {e.column for e in validate(strict, facts).failed} >= {"label_drift"}


def test_minimum_sizes_bind_only_where_they_held_before(tmp_path: Path, store: Store) -> None:
    facts = collect_facts(store.spec, store, staged_erasure(tmp_path, store), KEY, CLAIMED)

    def verdict(rows: int, per_role: int) -> set[str]:
        bounds = {"min_rows": rows, "min_rows_per_role": per_role}
        spec = small_spec(expectations=bounds)
        return {expectation.column for expectation in validate(spec, facts).failed}

    assert verdict(228, 1) == set()
    assert verdict(229, 1) == {"rows_after"}
    assert verdict(241, 1) == set()
    shrunk = {r for r, n in facts.rows_by_role.items() if n < facts.rows_by_role_before[r]}
    role = sorted(shrunk)[0]
    assert f"rows_{role}" in verdict(1, facts.rows_by_role_before[role])
    assert f"rows_{role}" not in verdict(1, facts.rows_by_role_before[role] + 1)


def test_nobody_erased_is_valid(tmp_path: Path, store: Store) -> None:
    staged = stage_erasure(store.spec, store, KEY, {"nobody"}, tmp_path / "staged")
    facts = collect_facts(store.spec, store, staged, KEY, {"nobody"})
    assert (facts.rows_erased, facts.touched_shards) == (0, 0)
    assert validate(store.spec, facts).success
