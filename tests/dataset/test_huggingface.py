from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from expunge.dataset import ColumnError, IngestError
from expunge.dataset.source import open_source, part
from tests.dataset.saved import saved_dataset, with_array2d, write_state
from tests.dataset.world import (
    digests,
    ingest,
    people,
    publish,
    rows_of,
    small_spec,
    stage,
    tensor_spec,
)


def test_a_saved_dataset_and_parquet_give_the_same_bytes(tmp_path: Path) -> None:
    folder = saved_dataset(tmp_path / "people", people(), files=3)
    stage(folder, small_spec(), tmp_path / "staged")
    assert digests(tmp_path / "staged") == digests(ingest(tmp_path / "parquet", people())[0].folder)


@pytest.mark.parametrize(
    ("name", "metadata"),
    [
        ("datasets.features.features.Array2DExtensionType", '[[2, 3], "int32"]'),
        ("arrow.py_extension_type", "cpytest\nfail\n(S'an extension type was unpickled'\ntR."),
    ],
)
def test_extension_types_are_read_as_lists_and_never_loaded(
    tmp_path: Path, name: str, metadata: str
) -> None:
    folder = saved_dataset(tmp_path / "people", with_array2d(name, metadata))
    stage(folder, tensor_spec(), tmp_path / "staged")
    store = publish(tmp_path / "version", tensor_spec(), None, tmp_path / "staged")
    found = {row["record_id"]: row["pixels"] for row in rows_of(store)}
    for at, record in enumerate(people()["record_id"].to_pylist()):
        assert found[record] == [at, at + 1, at + 2, 0, 1, 2]


def test_class_labels_values_and_sequences_are_read(tmp_path: Path) -> None:
    table = people().drop_columns(["height", "weight"])
    described = {"info": {"features": {"label": {"names": ["a", "b", "c", "d"]}}}}
    numbers = pa.array(np.arange(240 * 6).reshape(240, 6).tolist(), pa.large_list(pa.float64()))
    table = table.append_column("pixels", numbers).append_column("text", pa.array(["x"] * 240))
    table = table.replace_schema_metadata({"huggingface": json.dumps(described)})
    folder = saved_dataset(tmp_path / "people", table)
    assert stage(folder, tensor_spec(), tmp_path / "staged").rows_added == 240
    store = publish(tmp_path / "version", tensor_spec(), None, tmp_path / "staged")
    assert store.manifest.extras == (pa.field("text", pa.string()),)


def test_rows_without_a_record_id_are_numbered_over_all_files(tmp_path: Path) -> None:
    folder = saved_dataset(tmp_path / "people", people().drop_columns(["record_id"]), files=3)
    stage(folder, small_spec(), tmp_path / "staged")
    store = publish(tmp_path / "version", small_spec(), None, tmp_path / "staged")
    heights = people()["height"].to_pylist()
    assert {row["record_id"]: row["height"] for row in rows_of(store)} == {
        f"r{at}": heights[at] for at in range(240)
    }


def test_a_wrong_row_is_numbered_over_all_files(tmp_path: Path) -> None:
    labels = people()["label"].to_pylist()
    labels[200] = -1
    table = people().set_column(2, "label", pa.array(labels))
    said = refusal(tmp_path, saved_dataset(tmp_path / "people", table, files=3))
    assert "people, column 'label', row 200: label out of range" in said


def test_large_record_batches_are_cut(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(part, "BATCH_BYTES", 2000)
    folder = saved_dataset(tmp_path / "people", people(), files=1, rows=240)
    before, most, rows = pa.total_allocated_bytes(), 0, 0
    for origin, batch in open_source(small_spec(), folder, ()).batches():
        assert origin.first_row == rows
        assert batch.num_rows < 60
        rows += batch.num_rows
        most = max(most, pa.total_allocated_bytes() - before)
    assert (rows, most) == (240, 0)


# Refusals


def refusal(tmp_path: Path, folder: Path, kind: type[IngestError] = IngestError) -> str:
    with pytest.raises(kind) as caught:
        stage(folder, small_spec(), tmp_path / "s")
    assert not any((tmp_path / "s").iterdir())
    assert "person-" not in str(caught.value)
    return str(caught.value)


def test_of_several_splits_one_must_be_named(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    for split in ("train", "test"):
        saved_dataset(whole / split, people())
    (whole / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "test"]}))
    said = refusal(tmp_path, whole)
    assert "holds 2 splits" in said
    assert f"{whole / 'test'}, {whole / 'train'}" in said
    assert stage(whole / "train", small_spec(), tmp_path / "s").rows_added == 240


def test_rows_behind_an_index_are_refused(tmp_path: Path) -> None:
    folder = saved_dataset(tmp_path / "people", people(), files=1)
    files = [{"filename": "data-00000-of-00001.arrow"}]
    write_state(folder, files, _indices_data_files=[{"filename": "indices.arrow"}])
    assert "flatten_indices" in refusal(tmp_path, folder)


@pytest.mark.parametrize(
    "named",
    [[], None, "x", [{}], ["x"], [{"filename": 3}], [{"filename": ""}], [{"filename": ".."}],
     [{"filename": "a\0b"}], [{"filename": "../other.arrow"}], [{"filename": "/etc/passwd"}],
     [{"filename": "a/b.arrow"}]],
)  # fmt: skip
def test_files_outside_the_folder_and_no_files_are_refused(tmp_path: Path, named: Any) -> None:
    folder = saved_dataset(tmp_path / "people", people())
    write_state(folder, named)
    assert "does not name the dataset's files" in refusal(tmp_path, folder)


@pytest.mark.parametrize("content", ["", "[]", "{", "[" * 100_000, "\ud800"])
def test_a_state_that_is_not_readable_is_refused(tmp_path: Path, content: str) -> None:
    folder = saved_dataset(tmp_path / "people", people())
    (folder / "state.json").write_bytes(content.encode("utf-8", "surrogatepass"))
    assert "state.json is not readable" in refusal(tmp_path, folder)


def test_files_of_several_schemas_are_refused(tmp_path: Path) -> None:
    folder = saved_dataset(tmp_path / "people", people())
    other = saved_dataset(tmp_path / "other", people().append_column("more", pa.nulls(240)))
    name = "data-00001-of-00002.arrow"
    (other / name).replace(folder / name)
    assert f"{name} has other columns" in refusal(tmp_path, folder, ColumnError)


def batch_ends(content: bytes) -> list[int]:
    """Where the stream may be cut between two messages."""
    ends = []
    source = pa.BufferReader(content)
    with pa.ipc.open_stream(source) as stream:
        for _ in stream:
            ends.append(source.tell())
    return ends


@pytest.mark.parametrize("cut", ["absent", "empty", "inside", "between", "end"])
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, cut: str) -> None:
    folder = saved_dataset(tmp_path / "people", people())
    file = folder / "data-00001-of-00002.arrow"
    content = file.read_bytes()
    at = {"empty": 0, "inside": len(content) // 2, "between": batch_ends(content)[0], "end": -8}
    if cut == "absent":
        file.unlink()
    else:
        file.write_bytes(content[: at[cut]])
    assert "not a readable Arrow file" in refusal(tmp_path, folder)


def test_what_follows_the_end_is_refused(tmp_path: Path) -> None:
    folder = saved_dataset(tmp_path / "people", people(), files=1)
    file = folder / "data-00000-of-00001.arrow"
    file.write_bytes(file.read_bytes() * 2)
    assert "not a readable Arrow file" in refusal(tmp_path, folder)


def test_offsets_that_point_outside_are_refused_and_do_not_crash(tmp_path: Path) -> None:
    folder = saved_dataset(tmp_path / "people", people(), files=1, rows=240)
    file = folder / "data-00000-of-00001.arrow"
    content = bytearray(file.read_bytes())
    lengths = np.cumsum([0, *(len(name) for name in people()["record_id"].to_pylist())])
    at = content.index(lengths.astype(np.int32).tobytes())
    content[at + 400 : at + 404] = (2**30).to_bytes(4, "little")
    file.write_bytes(content)
    assert "not a readable Arrow file" in refusal(tmp_path, folder)
