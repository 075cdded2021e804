from __future__ import annotations

import resource
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import expunge.dataset.merge as merge_module
import expunge.dataset.source.part as part_module
from expunge.dataset import (
    ColumnError,
    DuplicateRecordError,
    HeldOutError,
    IngestError,
    RoleConflictError,
    ShardError,
    Store,
    stage_ingest,
    summary,
)
from expunge.dataset.disk import StorageFullError
from expunge.dataset.store import read_parquet
from tests.dataset.world import (
    KEY,
    digests,
    ingest,
    nobody,
    people,
    publish,
    rows_of,
    small_spec,
    tensor_spec,
    with_pixels,
)


def test_every_row_is_stored_once_in_its_subjects_shard(shared_store: Store) -> None:
    table = people()
    stored = rows_of(shared_store)
    assert [row["record_id"] for row in stored] == sorted(table["record_id"].to_pylist())
    by_id = {row["record_id"]: row for row in table.to_pylist()}
    for row in stored:
        assert {name: row[name] for name in by_id[row["record_id"]]} == by_id[row["record_id"]]
        assert row["_ingest"] == 1
    for number in shared_store.numbers:
        subjects = shared_store.read(number)["subject_id"].to_pylist()
        shards = shared_store.placement(KEY).place(subjects).shard
        assert set(shards.tolist()) == {number}


def test_a_subject_has_one_role_and_rows_are_sorted(shared_store: Store) -> None:
    roles: dict[str, set[str]] = {}
    for number in shared_store.numbers:
        rows = shared_store.read(number).to_pylist()
        order = [(row["subject_id"], row["record_id"]) for row in rows]
        assert order == sorted(order)
        for row in rows:
            roles.setdefault(row["subject_id"], set()).add(row["role"])
    assert len(roles) == 60
    assert all(len(found) == 1 for found in roles.values())


def test_the_summary_counts_what_the_shards_hold(shared_store: Store) -> None:
    found, rows = summary(shared_store), rows_of(shared_store)
    assert found.rows == len(rows) == 240
    for role, labels in found.labels_by_role.items():
        theirs = [row for row in rows if row["role"] == role]
        assert found.by_role[role] == len(theirs)
        assert found.subjects_by_role[role] == len({row["subject_id"] for row in theirs})
        assert labels == {
            label: count
            for label in range(4)
            if (count := sum(row["label"] == label for row in theirs))
        }


def test_the_index_describes_the_shard(shared_store: Store) -> None:
    for number in shared_store.numbers:
        rows, index = shared_store.read(number), shared_store.index(number)
        subjects = rows["subject_id"].to_pylist()
        names = list(dict.fromkeys(subjects))
        places = shared_store.placement(KEY).place(names)
        assert np.array_equal(index.digest, places.digest)
        assert index.offset.tolist() == [subjects.index(name) for name in names]
        assert index.rows.tolist() == [subjects.count(name) for name in names]


def test_the_same_source_gives_the_same_bytes_in_any_order(tmp_path: Path) -> None:
    table = people()
    shuffled = table.take(np.random.default_rng(1).permutation(table.num_rows))
    one, _ = ingest(tmp_path / "a", table)
    other, _ = ingest(tmp_path / "b", shuffled)
    assert digests(one.folder) == digests(other.folder)


def test_csv_parquet_and_a_folder_of_parquet_give_the_same_bytes(tmp_path: Path) -> None:
    table = people()
    store, _ = ingest(tmp_path / "parquet", table)
    pacsv.write_csv(table, tmp_path / "people.csv")
    parts = tmp_path / "parts" / "nested"
    parts.mkdir(parents=True)
    (tmp_path / "parts" / "_SUCCESS").touch()
    pq.write_table(table.slice(0, 100), parts / "a.parquet")
    pq.write_table(table.slice(100), parts.parent / "b.parquet", row_group_size=7)
    for number, source in enumerate((tmp_path / "people.csv", tmp_path / "parts")):
        staging = tmp_path / f"staged-{number}"
        stage_ingest(
            small_spec(), source, mode="append", current=None, staging=staging,
            key=KEY, ingest=1, suppressed=nobody,
        )  # fmt: skip
        assert digests(staging) == digests(store.folder)


def test_tensors_of_any_nesting_and_as_text_give_the_same_bytes(tmp_path: Path) -> None:
    table, spec = with_pixels(people()), tensor_spec()
    store, _ = ingest(tmp_path / "flat", table, spec)
    assert store.read(store.numbers[0]).schema.field("pixels").type.list_size == 6
    values = np.stack(table["pixels"].to_pylist()).astype(np.float64)
    nested = pa.array(values.reshape(-1, 1, 2, 3).tolist())
    text = pa.array([str(row.tolist()) for row in values])
    for name, column in {"nested": nested, "text": text}.items():
        again = table.drop_columns(["pixels"]).append_column("pixels", column)
        assert digests(ingest(tmp_path / name, again, spec)[0].folder) == digests(store.folder)


def test_integer_ids_are_stored_as_text(tmp_path: Path) -> None:
    table = people()
    table = table.set_column(0, "record_id", pa.array(range(240)))
    table = table.set_column(1, "subject_id", pa.array([at // 4 for at in range(240)], pa.int32()))
    store, _ = ingest(tmp_path, table)
    assert {row["subject_id"] for row in rows_of(store)} == {str(at) for at in range(60)}


def test_progress_ends_at_the_number_of_rows(tmp_path: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    ingest(tmp_path, people(), on_progress=lambda *step: told.append(step))
    assert ("read", 240, 240) in told
    assert told[-1] == ("write", 8, 8)


def test_shards_taken_piece_by_piece_are_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = ingest(tmp_path / "copied", people())
    monkeypatch.setattr(part_module, "BATCH_BYTES", 600)
    monkeypatch.setattr(merge_module, "_COPIED", 0)
    other, _ = ingest(tmp_path / "taken", people())
    assert digests(one.folder) == digests(other.folder)


# Appending


def test_an_append_skips_known_records_and_leaves_other_shards_alone(
    tmp_path: Path, store: Store
) -> None:
    more = pa.concat_tables([people(2), people(1, first=60, seed=5)])
    after, staged = ingest(tmp_path, more, current=store, number=2, name="next")
    assert (staged.rows_in, staged.rows_added, staged.duplicates) == (12, 4, 8)
    assert staged.rows_total == summary(after).rows == len(rows_of(after)) == 244
    shard = int(store.placement(KEY).place(["person-60"]).shard[0])
    changed = {f"index-{shard:05d}.parquet", f"shard-{shard:05d}.parquet", "manifest.json"}
    assert set(staged.files) == changed
    before, now = digests(store.folder), digests(after.folder)
    assert {name for name in now if now[name] != before.get(name)} == changed
    assert [r["_ingest"] for r in rows_of(after) if r["subject_id"] == "person-60"] == [2] * 4


def test_the_same_source_again_stages_nothing(tmp_path: Path, store: Store) -> None:
    _, staged = ingest(tmp_path, people(), current=store, number=2, name="next")
    assert (staged.rows_added, staged.duplicates, staged.touched) == (0, 240, ())


@settings(max_examples=5, suppress_health_check=list(HealthCheck))
@given(st.lists(st.integers(0, 2), min_size=60, max_size=60))
def test_one_append_or_several_keep_roles_and_rows(
    tmp_path_factory: pytest.TempPathFactory, parts: list[int]
) -> None:
    folder, table = tmp_path_factory.mktemp("appends"), people()
    owner = np.repeat(parts, 4)
    store = None
    for number, part in enumerate(sorted(set(parts)), 1):
        rows = table.filter(pa.array(owner == part))
        spec = small_spec(min_held_out_subjects=1)
        try:
            store, _ = ingest(folder, rows, spec, current=store, number=number, name=f"v{number}")
        except HeldOutError:
            return
    assert store is not None
    whole, _ = ingest(folder, table, name="whole")
    kept = [{**row, "_ingest": 1} for row in rows_of(store)]
    assert kept == rows_of(whole)
    assert summary(store).labels_by_role == summary(whole).labels_by_role


def test_an_append_may_add_a_nullable_column(tmp_path: Path, store: Store) -> None:
    more = people(3, first=60)
    more = more.append_column("note", pa.array(["a", None] * 6))
    after, _ = ingest(tmp_path, more, current=store, number=2, name="next")
    assert summary(after).further_columns == ("note",)
    notes = {row["record_id"]: row.get("note") for row in rows_of(after)}
    assert notes["record-60-0"] == "a"
    assert notes["record-0-0"] is None
    last, _ = ingest(tmp_path, people(1, first=70), current=after, number=3, name="last")
    assert summary(last).further_columns == ("note",)


def test_an_append_refuses_another_type_under_a_known_name(tmp_path: Path, store: Store) -> None:
    noted = people(3, first=60).append_column("note", pa.array(["a"] * 12))
    after, _ = ingest(tmp_path, noted, current=store, number=2, name="next")
    other = people(3, first=70).append_column("note", pa.array([1] * 12))
    with pytest.raises(ColumnError, match="'note' has type int64, stored is string"):
        ingest(tmp_path, other, current=after, number=3, name="last")


def test_roles_stick_when_the_shares_of_the_spec_change(tmp_path: Path, store: Store) -> None:
    shares = {"T": 0.05, "V": 0.65, "R": 0.12, "F": 0.06, "E": 0.12}
    spec = small_spec(roles=shares)
    more = people(60, first=0).set_column(
        0, "record_id", pa.array([f"more-{at}" for at in range(240)])
    )
    for mode in ("append", "replace"):
        after, _ = ingest(
            tmp_path / mode, more, spec, current=Store(store.folder, spec), number=2, mode=mode
        )
        before = {row["subject_id"]: row["role"] for row in rows_of(store)}
        assert {row["subject_id"]: row["role"] for row in rows_of(after)} == before


def test_replace_keeps_only_the_new_rows_and_still_suppresses(tmp_path: Path, store: Store) -> None:
    after, staged = ingest(
        tmp_path, people(50, seed=9), current=store, number=2, name="next", mode="replace",
        suppressed=lambda subjects: {"person-3", "person-7"} & set(subjects),
    )  # fmt: skip
    assert (staged.rows_in, staged.suppressed, staged.rows_added) == (200, 8, 192)
    held = {row["subject_id"] for row in rows_of(after)}
    assert len(held) == 48
    assert not held & {"person-3", "person-7"}
    assert {row["_ingest"] for row in rows_of(after)} == {2}


def test_a_source_of_erased_people_only_stages_nothing_on_append(
    tmp_path: Path, store: Store
) -> None:
    _, staged = ingest(
        tmp_path, people(2, first=80), current=store, number=2, name="next", suppressed=set
    )
    assert (staged.suppressed, staged.rows_added, staged.touched) == (8, 0, ())


# Refusals


def refused(tmp_path: Path, table: pa.Table, kind: type[IngestError], **options: object) -> str:
    """The message of the refusal; nothing may be staged, and no content shown."""
    with pytest.raises(kind) as caught:
        ingest(tmp_path, table, **options)  # type: ignore[arg-type]
    staging = tmp_path / "version-staged"
    assert not (staging / "manifest.json").exists()
    assert not (staging / ".spill").exists()
    assert "person-" not in str(caught.value)
    assert "record-" not in str(caught.value)
    assert caught.value.fix
    return str(caught.value)


def changed(column: str, row: int, value: object, kind: pa.DataType | None = None) -> pa.Table:
    table = people()
    values = table[column].to_pylist()
    values[row] = value
    at = table.schema.get_field_index(column)
    return table.set_column(at, column, pa.array(values, kind or table.schema.field(column).type))


@pytest.mark.parametrize("column", ["record_id", "subject_id", "label", "height"])
def test_a_null_is_refused_by_column_and_row(tmp_path: Path, column: str) -> None:
    message = refused(tmp_path, changed(column, 17, None), IngestError)
    assert f"column {column!r}, row 18" in message


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300])
def test_what_is_not_finite_in_float32_is_refused(tmp_path: Path, value: float) -> None:
    message = refused(tmp_path, changed("weight", 3, value, pa.float64()), IngestError)
    assert "column 'weight', row 4: NaN, Inf" in message


@pytest.mark.parametrize("label", [-1, 4])
def test_a_label_out_of_range_is_refused(tmp_path: Path, label: int) -> None:
    message = refused(tmp_path, changed("label", 239, label), IngestError)
    assert "column 'label', row 240" in message
    assert "0 to 3" in message


def test_a_record_id_twice_in_one_source_is_refused(tmp_path: Path) -> None:
    message = refused(tmp_path, changed("record_id", 1, "record-0-0"), DuplicateRecordError)
    assert "1 occur more than once in the source" in message
    assert "row 2 of the source" in message


def test_a_record_id_of_another_subject_is_refused(tmp_path: Path, store: Store) -> None:
    table = people(1, first=60).set_column(
        0, "record_id", pa.array(["record-0-0", "record-1-0", "new-1", "new-2"])
    )
    with pytest.raises(DuplicateRecordError, match="2 belong to another subject"):
        ingest(tmp_path, table, current=store, number=2, name="next")


@pytest.mark.parametrize("column", ["record_id", "subject_id", "label", "weight"])
def test_a_missing_column_is_named(tmp_path: Path, column: str) -> None:
    message = refused(tmp_path, people().drop_columns([column]), ColumnError)
    assert f"column {column!r} is missing" in message


@pytest.mark.parametrize("column", ["record_id", "subject_id", "label", "height"])
def test_a_mistyped_column_is_named(tmp_path: Path, column: str) -> None:
    at = people().schema.get_field_index(column)
    odd = pa.array([b"x"] * 240)
    message = refused(tmp_path, people().set_column(at, column, odd), ColumnError)
    assert f"column {column!r} has type binary" in message


@pytest.mark.parametrize("name", ["role", "_ingest"])
def test_columns_of_our_own_are_refused(tmp_path: Path, name: str) -> None:
    table = people().append_column(name, pa.array([1] * 240))
    assert f"{name!r}, which expunge writes itself" in refused(tmp_path, table, ColumnError)


@pytest.mark.parametrize(
    ("tensor", "what"),
    [([1.0] * 5, "not 6 numbers"), (None, "null"), ([1.0] * 5 + [None], "null inside"),
     ([1.0] * 5 + [float("nan")], "NaN")],
)  # fmt: skip
def test_a_wrong_tensor_is_refused(tmp_path: Path, tensor: object, what: str) -> None:
    table = with_pixels(people())
    values = table["pixels"].to_pylist()
    values[9] = tensor
    table = table.drop_columns(["pixels"]).append_column(
        "pixels", pa.array(values, pa.list_(pa.float64()))
    )
    message = refused(tmp_path, table, IngestError, spec=tensor_spec())
    assert f"column 'pixels', row 10: {what}" in message


def test_too_few_held_out_subjects_are_refused(tmp_path: Path) -> None:
    spec = small_spec(min_held_out_subjects=40)
    message = refused(tmp_path, people(), HeldOutError, spec=spec)
    assert "fewer than 40" in message


def test_a_source_without_rows_is_refused(tmp_path: Path) -> None:
    assert "holds no rows" in refused(tmp_path, people().slice(0, 0), IngestError)


def test_another_number_of_shards_is_refused(tmp_path: Path, store: Store) -> None:
    spec = small_spec(shards=16)
    current = Store(store.folder, spec)
    with pytest.raises(IngestError, match=r"field shards: found 16, allowed\s+8"):
        ingest(tmp_path, people(), spec, current=current, number=2, name="next")


# Files


def stage_file(tmp_path: Path, source: Path) -> IngestError:
    with pytest.raises(IngestError) as caught:
        stage_ingest(
            small_spec(), source, mode="append", current=None, staging=tmp_path / "s",
            key=KEY, ingest=1, suppressed=nobody,
        )  # fmt: skip
    assert not any((tmp_path / "s").iterdir())
    assert "secret" not in str(caught.value)
    return caught.value


def test_an_absent_path_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    assert "nothing at" in str(stage_file(tmp_path, tmp_path / "absent.parquet"))
    (tmp_path / "empty").mkdir()
    assert "no Parquet file" in str(stage_file(tmp_path, tmp_path / "empty"))


@pytest.mark.parametrize("name", ["x.parquet", "x.csv"])
def test_an_empty_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert "is an empty file" in str(stage_file(tmp_path, tmp_path / name))


def test_another_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    assert "neither .parquet, .csv nor .npz" in str(stage_file(tmp_path, tmp_path / "x.json"))


@pytest.mark.parametrize("damage", ["truncated", "footer", "middle"])
def test_a_damaged_parquet_file_is_refused(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "x.parquet"
    pq.write_table(people(2000), file, compression="zstd")
    content = bytearray(file.read_bytes())
    if damage == "truncated":
        content = content[: len(content) // 2]
    elif damage == "footer":
        content[-600:-8] = bytes(592)
    else:
        content[2000:6000] = bytes(4000)
    file.write_bytes(content)
    assert "truncated or corrupt" in str(stage_file(tmp_path, file))


HEADER = "record_id,subject_id,label,height,weight\n"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (HEADER + "a,secret,1,1,2\nb,secret,1,secret,2\n", "row 3, column 4: a value is not float"),
        (HEADER + "a,secret,1,1,2\nb,secret,1,1\n", "row 3: 4 values where the header has 5"),
        (HEADER + "a,secret,1,1,2\nb,,1,1,2\n", "column 'subject_id', row 3: null"),
        (HEADER + "a,secret,1,nan,2\n", "column 'height', row 2: NaN"),
        (HEADER + "a,secret,1.5,1,2\n", "row 2, column 3: a value is not int64"),
        ("secret,b,c\n1,2,3\n", "column 'record_id' is missing"),
        (HEADER, "holds no rows"),
    ],
)  # fmt: skip
def test_a_bad_csv_line_is_named_by_row_and_never_quoted(
    tmp_path: Path, content: str, what: str
) -> None:
    (tmp_path / "x.csv").write_text(content)
    assert what in str(stage_file(tmp_path, tmp_path / "x.csv"))


def test_a_csv_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes((HEADER + "a,secret-é,1,1,2\n").encode("latin-1"))
    assert "x.csv, row 2, column 2: not UTF-8" in str(stage_file(tmp_path, tmp_path / "x.csv"))


# A given split


def split_table(roles: dict[int, str]) -> pa.Table:
    cycle = ["T", "T", "V", "R", "F", "E"]
    column = [roles.get(at // 4, cycle[at // 4 % 6]) for at in range(240)]
    return people().append_column("fold", pa.array(column))


def test_a_given_split_decides_the_roles(tmp_path: Path) -> None:
    store, _ = ingest(tmp_path, split_table({5: "T"}), small_spec(split="fold"))
    found = {row["subject_id"]: row["role"] for row in rows_of(store)}
    assert found["person-5"] == "T"
    assert found["person-11"] == "E"
    assert summary(store).subjects_by_role == {"T": 21, "V": 10, "R": 10, "F": 10, "E": 9}
    assert "fold" not in store.read(store.numbers[0]).schema.names


def test_a_subject_with_two_roles_is_refused(tmp_path: Path) -> None:
    table = split_table({})
    roles = table["fold"].to_pylist()
    roles[1] = "E"
    table = table.set_column(5, "fold", pa.array(roles))
    message = refused(tmp_path, table, RoleConflictError, spec=small_spec(split="fold"))
    assert "1 subject(s)" in message


@pytest.mark.parametrize("mode", ["append", "replace"])
def test_a_subject_that_changes_its_role_is_refused(tmp_path: Path, mode: str) -> None:
    spec = small_spec(split="fold")
    store, _ = ingest(tmp_path, split_table({}), spec)
    moved = split_table({0: "E"}).set_column(
        0, "record_id", pa.array([f"m{at}" for at in range(240)])
    )
    with pytest.raises(RoleConflictError, match=r"1 subject\(s\)"):
        ingest(tmp_path, moved, spec, current=store, number=2, name="next", mode=mode)


def test_a_value_that_is_no_role_is_refused(tmp_path: Path) -> None:
    table = split_table({0: "train"})
    message = refused(tmp_path, table, IngestError, spec=small_spec(split="fold"))
    assert "column 'fold', row 1: not a role" in message


def test_a_full_disk_is_a_transient_error(tmp_path: Path) -> None:
    source = tmp_path / "x.parquet"
    pq.write_table(people(3000), source)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(StorageFullError, match="No room"):
            stage_ingest(
                small_spec(), source, mode="append", current=None, staging=tmp_path / "s",
                key=KEY, ingest=1, suppressed=nobody,
            )  # fmt: skip
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_flipped_byte_in_a_shard_is_found(tmp_path: Path) -> None:
    store, _ = ingest(tmp_path, people(600))
    path = store.shard_path(store.numbers[0])
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ShardError, match="truncated or corrupt"):
        read_parquet(path)


def test_a_published_copy_reads_like_the_staged_one(tmp_path: Path, store: Store) -> None:
    copy = publish(tmp_path / "copy", small_spec(), None, store.folder)
    assert rows_of(copy) == rows_of(store)
