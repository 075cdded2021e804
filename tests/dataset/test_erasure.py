from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from expunge.dataset import ShardError, StagedErasure, Store, look_up, stage_erasure, summary
from tests.dataset.world import KEY, digests, ingest, people, publish, rows_of, small_spec

quick = settings(max_examples=15, suppress_health_check=list(HealthCheck))
subjects = st.sets(st.sampled_from([f"person-{number}" for number in range(60)]))


def erase(store: Store, names: set[str], folder: Path) -> tuple[Store, StagedErasure]:
    staged = stage_erasure(store.spec, store, KEY, names, folder / "staged")
    return publish(folder / "version", store.spec, store, staged.staging), staged


@quick
@given(subjects)
def test_what_was_is_what_stays_and_what_went(
    tmp_path_factory: pytest.TempPathFactory, shared_store: Store, names: set[str]
) -> None:
    after, staged = erase(shared_store, names, tmp_path_factory.mktemp("erase"))
    before, kept = rows_of(shared_store), rows_of(after)
    gone = [row for row in before if row["subject_id"] in names]
    assert sorted(kept + gone, key=lambda row: row["record_id"]) == before
    assert staged.rows_erased == len(gone) == 4 * len(names)
    assert {role: rows for role, rows in staged.by_role.items() if rows} == Counter(
        row["role"] for row in gone
    )
    assert summary(after).rows == len(kept)
    assert summary(after).by_role == summary(shared_store).by_role | {
        role: rows - staged.by_role[role] for role, rows in summary(shared_store).by_role.items()
    }


@quick
@given(subjects, st.data())
def test_any_split_into_batches_ends_in_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory,
    shared_store: Store,
    names: set[str],
    data: st.DataObject,
) -> None:
    folder = tmp_path_factory.mktemp("erase")
    at_once, _ = erase(shared_store, names, folder / "once")
    step, left = shared_store, sorted(names)
    for number in range(1, 4):
        part = set(data.draw(st.lists(st.sampled_from(left or [""]), unique=True)))
        part = part if number < 3 else set(left)
        step, _ = erase(step, part, folder / f"step-{number}")
        left = [name for name in left if name not in part]
    assert digests(step.folder) == digests(at_once.folder)


@quick
@given(subjects)
def test_untouched_shards_stay_byte_for_byte(
    tmp_path_factory: pytest.TempPathFactory, shared_store: Store, names: set[str]
) -> None:
    after, staged = erase(shared_store, names, tmp_path_factory.mktemp("erase"))
    shards = shared_store.placement(KEY).place(sorted(names)).shard.tolist() if names else []
    assert set(staged.touched) == set(shards)
    old, new = digests(shared_store.folder), digests(after.folder)
    assert {name for name in old if old[name] != new[name]} == set(staged.files)
    assert len(staged.files) == (2 * len(staged.touched) + 1 if names else 0)


def test_untouched_shards_are_not_even_opened(tmp_path: Path, store: Store) -> None:
    touched = int(store.placement(KEY).place(["person-1"]).shard[0])
    for number in store.numbers:
        if number != touched:
            store.shard_path(number).write_bytes(b"not Parquet")
            store.index_path(number).write_bytes(b"not Parquet")
    staged = stage_erasure(store.spec, store, KEY, {"person-1"}, tmp_path / "staged")
    assert staged.touched == (touched,)
    assert look_up(store, KEY, ["person-1"])["person-1"].rows == 4


def test_staging_leaves_the_published_files_alone_and_can_be_repeated(
    tmp_path: Path, store: Store
) -> None:
    before = digests(store.folder)
    names = {"person-1", "person-2", "nobody"}
    first = stage_erasure(store.spec, store, KEY, names, tmp_path / "staged")
    bytes_first = digests(first.staging)
    (first.staging / "left-over").write_text("of a run that was killed")
    second = stage_erasure(store.spec, store, KEY, names, tmp_path / "staged")
    assert first == second
    assert digests(second.staging) == bytes_first
    assert digests(store.folder) == before


def test_people_who_are_not_there_touch_nothing(tmp_path: Path, store: Store) -> None:
    staged = stage_erasure(store.spec, store, KEY, {"nobody"}, tmp_path / "staged")
    assert (staged.touched, staged.files, staged.rows_erased) == ((), (), 0)
    assert not list(staged.staging.iterdir())


def test_everybody_can_be_erased_and_leaves_empty_shards(tmp_path: Path, store: Store) -> None:
    after, staged = erase(store, {f"person-{number}" for number in range(60)}, tmp_path / "all")
    assert staged.rows_erased == 240
    assert rows_of(after) == []
    assert after.numbers == store.numbers
    assert look_up(after, KEY, ["person-1"]) == {}


def test_an_erased_person_can_be_ingested_again_after_all(tmp_path: Path, store: Store) -> None:
    after, _ = erase(store, {"person-1"}, tmp_path / "erase")
    back, staged = ingest(tmp_path, people(), current=after, number=2, name="back")
    assert (staged.rows_added, staged.duplicates) == (4, 236)
    assert [{**row, "_ingest": 1} for row in rows_of(back)] == rows_of(store)


def test_a_shard_without_a_later_column_keeps_its_own_schema(tmp_path: Path, store: Store) -> None:
    more = people(1, first=60).append_column("note", [["a", "b", None, "d"]])
    wider, _ = ingest(tmp_path, more, current=store, number=2, name="wider")
    new = int(store.placement(KEY).place(["person-60"]).shard[0])
    old = next(n for n in range(60) if store.placement(KEY).place([f"person-{n}"]).shard[0] != new)
    after, staged = erase(wider, {f"person-{old}"}, tmp_path / "erase")
    assert "note" not in after.read(staged.touched[0]).schema.names
    assert {row.get("note") for row in rows_of(after)} == {"a", "b", None, "d"}


def test_a_corrupt_shard_is_an_error_that_names_the_file(tmp_path: Path, store: Store) -> None:
    number = int(store.placement(KEY).place(["person-1"]).shard[0])
    os.truncate(store.shard_path(number), 100)
    with pytest.raises(ShardError, match=f"shard-{number:05d}.parquet is truncated or corrupt"):
        stage_erasure(store.spec, store, KEY, {"person-1"}, tmp_path / "staged")


def test_an_absent_manifest_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ShardError, match=r"no readable manifest\.json"):
        summary(Store(tmp_path, small_spec()))


def test_fewer_classes_than_stored_are_refused(store: Store) -> None:
    with pytest.raises(ShardError, match="field classes: found 3"):
        summary(Store(store.folder, small_spec(classes=3)))
    wider = summary(Store(store.folder, small_spec(classes=9)))
    assert wider.labels_by_role == summary(store).labels_by_role
