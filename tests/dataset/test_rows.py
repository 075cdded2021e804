from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import expunge.dataset.rows as rows_module
from expunge.dataset import ROLES, ArrowRows, ShardError, Store, Where, open_rows, training_rows
from expunge.specs import load_dataset_spec
from expunge.workspace import reference_folder
from tests.dataset.world import ingest, people, rows_of, small_spec, tensor_spec, with_pixels


def in_order(store: Store, roles: set[str]) -> list[dict[str, object]]:
    """Rows as the store orders them."""
    rows = [row for number in store.numbers for row in store.read(number).to_pylist()]
    return [row for row in rows if row["role"] in roles]


def test_rows_are_the_stores_rows_in_its_order(tmp_path: Path, shared_store: Store) -> None:
    meant = in_order(shared_store, {"T", "E"})
    rows = training_rows(shared_store, shared_store.spec, ["T", "E"], tmp_path / "t.arrow")
    assert len(rows) == len(meant)
    x, y = rows.__getitems__(range(len(rows)))
    assert (x.dtype, y.dtype) == (torch.float32, torch.int64)
    assert x.tolist() == [[row["height"], row["weight"]] for row in meant]
    assert y.tolist() == [row["label"] for row in meant]
    assert [ROLES[code] for code in rows.role_codes] == [row["role"] for row in meant]
    names = [row["subject_id"] for row in meant]
    assert len(set(rows.subject_codes)) == len(set(names))
    assert len(set(zip(rows.subject_codes.tolist(), names, strict=True))) == len(set(names))


def test_a_row_has_the_shape_of_the_spec(tmp_path: Path) -> None:
    spec = tensor_spec()
    table = with_pixels(people())
    store, _ = ingest(tmp_path, table, spec)
    rows = training_rows(store, spec, ROLES, tmp_path / "scratch" / "t.arrow")
    meant = in_order(store, set(ROLES))
    for at in (0, 17, len(rows) - 1, -1):
        x, y = rows[at]
        assert x.shape == (1, 2, 3)
        assert x.flatten().tolist() == meant[at]["pixels"]
        assert int(y) == meant[at]["label"]
    with pytest.raises(IndexError):
        rows[len(rows)]


def test_many_record_batches_read_like_one(
    tmp_path: Path, shared_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = shared_store.spec
    whole = training_rows(shared_store, spec, ROLES, tmp_path / "one.arrow")
    monkeypatch.setattr(rows_module, "_BATCH_BYTES", 1)
    parts = training_rows(shared_store, spec, ROLES, tmp_path / "many.arrow")
    assert (len(whole.batches), len(parts.batches)) == (1, len(shared_store.numbers))
    at = np.random.default_rng(0).integers(0, len(whole), 500)
    for one, other in zip(whole.__getitems__(at), parts.__getitems__(at), strict=True):
        assert torch.equal(one, other)
    assert np.array_equal(whole.subject_codes, parts.subject_codes)


def test_where_filters_the_copy_and_the_view_alike(tmp_path: Path, store: Store) -> None:
    more = people(20, first=60)
    after, _ = ingest(tmp_path, more, current=store, number=2, name="next")
    spec = after.spec
    where = Where(labels=(1, 3), max_ingest=1, limit=9)
    copied = training_rows(after, spec, ["T"], tmp_path / "some.arrow", where=where)
    viewed = training_rows(after, spec, ROLES, tmp_path / "all.arrow").where(
        Where(roles=("T",), labels=(1, 3), max_ingest=1, limit=9)
    )
    meant = [
        row for row in in_order(after, {"T"}) if row["label"] in (1, 3) and row["_ingest"] == 1
    ][:9]
    assert len(meant) == 9
    for rows in (copied, viewed):
        assert rows.labels.tolist() == [row["label"] for row in meant]
        assert rows.__getitems__(range(9))[0][:, 0].tolist() == [row["height"] for row in meant]
        assert set(rows.ingests.tolist()) == {1}


def test_a_selection_of_a_selection_keeps_its_order(tmp_path: Path, shared_store: Store) -> None:
    rows = training_rows(shared_store, shared_store.spec, ROLES, tmp_path / "t.arrow")
    some = rows.select([9, 3, 7]).select([2, 0])
    assert torch.equal(some.__getitems__([0, 1])[0], rows.__getitems__([7, 9])[0])
    assert some.labels.tolist() == [rows.labels[7], rows.labels[9]]


def test_no_rows_are_an_empty_dataset(tmp_path: Path, shared_store: Store) -> None:
    rows = training_rows(
        shared_store, shared_store.spec, ["T"], tmp_path / "t.arrow", where=Where(labels=())
    )
    assert len(rows) == 0
    assert rows.subject_codes.shape == (0,)


def test_a_data_loader_and_another_process_read_the_same(
    tmp_path: Path, shared_store: Store
) -> None:
    rows = training_rows(shared_store, shared_store.spec, ROLES, tmp_path / "t.arrow")
    copy = pickle.loads(pickle.dumps(rows.select([5, 6])))
    assert torch.equal(copy.__getitems__([0, 1])[0], rows.__getitems__([5, 6])[0])
    assert len(pickle.dumps(rows)) < 1000
    loader = torch.utils.data.DataLoader(rows, batch_size=50, collate_fn=tuple)
    assert torch.cat([y for _, y in loader]).tolist() == rows.labels.tolist()


def test_rows_in_memory_do_not_leave_the_process() -> None:
    with pytest.raises(TypeError, match="do not leave"):
        pickle.dumps(ArrowRows((), (2,)))


def test_the_copy_is_mapped_and_a_damaged_one_refused(tmp_path: Path, shared_store: Store) -> None:
    spec, path = shared_store.spec, tmp_path / "t.arrow"
    training_rows(shared_store, spec, ROLES, path)
    assert len(open_rows(path, spec)) == len(rows_of(shared_store))
    assert [file.name for file in tmp_path.iterdir()] == ["t.arrow"]
    with pytest.raises(ShardError, match="not a usable scratch copy"):
        open_rows(path, tensor_spec())
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ShardError, match="not a usable scratch copy"):
        open_rows(path, spec)
    with pytest.raises(ShardError, match="not a usable scratch copy"):
        open_rows(tmp_path / "absent", spec)


def test_the_room_does_not_import_torch_or_great_expectations() -> None:
    code = (
        "import sys, expunge.dataset;"
        "print(*{'torch', 'great_expectations', 'dvc', 'mlflow', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_reference_spec_fits_the_demo() -> None:
    spec = load_dataset_spec(reference_folder() / "data" / "digits.yaml")
    assert spec.features.input_shape == (1, 16, 16)
    assert (spec.classes, spec.shards, spec.min_held_out_subjects) == (10, 64, 20)
    assert small_spec().features.input_shape == (2,)
