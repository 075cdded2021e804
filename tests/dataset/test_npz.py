from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import expunge.dataset.source.npz as npz_module
from expunge.dataset import IngestError, Store
from expunge.dataset.source import open_source, part
from tests.dataset.world import digests, ingest, people, rows_of, small_spec, stage, tensor_spec
from tests.dataset.world import publish as lay_over

Arrays = dict[str, np.ndarray]


def arrays(**changes: Any) -> Arrays:
    """The arrays of `people()`, with a tensor."""
    table = people()
    found: Arrays = {
        "record_id": np.array(table["record_id"].to_pylist()),
        "subject_id": np.array(table["subject_id"].to_pylist()),
        "label": table["label"].to_numpy().astype(np.uint8),
        "pixels": np.arange(240 * 6, dtype=np.uint8).reshape(240, 1, 2, 3),
    }
    return found | changes


def saved(folder: Path, content: Arrays, *, compressed: bool = False) -> Path:
    path = folder / "x.npz"
    folder.mkdir(parents=True, exist_ok=True)
    (np.savez_compressed if compressed else np.savez)(path, **content)
    return path


def stored(folder: Path, content: Arrays, *, compressed: bool = False, **spec: Any) -> Store:
    dataset = tensor_spec(**spec)
    stage(saved(folder, content, compressed=compressed), dataset, folder / "staged")
    return lay_over(folder / "version", dataset, None, folder / "staged")


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kind", ["u1", "<f2", "<f4", "<f8", ">i2", "<i8", "?"])
def test_numbers_of_any_kind_are_stored_as_they_are(
    tmp_path: Path, kind: str, compressed: bool
) -> None:
    pixels = (np.arange(240 * 6) % 200).reshape(240, 2, 3).astype(kind)
    store = stored(tmp_path, arrays(pixels=pixels), compressed=compressed)
    meant = dict(zip(people()["record_id"].to_pylist(), pixels.reshape(240, 6), strict=True))
    for row in rows_of(store):
        assert row["pixels"] == meant[row["record_id"]].astype(np.float32).tolist()


def test_npz_and_parquet_give_the_same_bytes(tmp_path: Path) -> None:
    table, content = people(), arrays()
    flat = pa.array(content["pixels"].reshape(-1).astype(np.float32))
    table = table.drop_columns(["height", "weight"])
    table = table.append_column("pixels", pa.FixedSizeListArray.from_arrays(flat, 6))
    one, _ = ingest(tmp_path / "parquet", table, tensor_spec())
    assert digests(stored(tmp_path / "npz", content).folder) == digests(one.folder)


def test_tables_further_columns_and_a_split_come_from_arrays_too(tmp_path: Path) -> None:
    table = people()
    content = {name: np.array(table[name].to_pylist()) for name in table.column_names}
    roles = np.array([b"TVRFE"[at // 4 % 5 : at // 4 % 5 + 1] for at in range(240)])
    content |= {"fold": roles, "take": np.arange(240) % 3, "place": np.ones((240, 2), np.float16)}
    store = stored(tmp_path, content, features={"columns": ["height", "weight"]}, split="fold")
    row = rows_of(store)[0]
    assert {"take", "place"} <= set(row)
    assert row["place"] == [1.0, 1.0]
    by_id = {line["record_id"]: line for line in table.to_pylist()}
    assert row["height"] == by_id[row["record_id"]]["height"]


def test_rows_without_a_record_id_are_numbered_once(tmp_path: Path) -> None:
    content = arrays()
    del content["record_id"]
    store = stored(tmp_path, content)
    assert {row["record_id"] for row in rows_of(store)} == {f"r{at}" for at in range(240)}
    with pytest.raises(IngestError, match="has rows already") as caught:
        stage(tmp_path / "x.npz", tensor_spec(), tmp_path / "again", current=store, ingest=2)
    assert "--mode replace" in caught.value.fix
    stage(
        tmp_path / "x.npz", tensor_spec(), tmp_path / "again",
        current=store, ingest=2, mode="replace",
    )  # fmt: skip


def test_batches_are_bounded_and_in_order(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(part, "BATCH_BYTES", 4000)
    path = saved(tmp_path, arrays(), compressed=True)
    batches = list(open_source(tensor_spec(), path, ()).batches())
    assert len(batches) > 3
    assert all(batch.nbytes < 8000 for _, batch in batches)
    assert [origin.first_row for origin, _ in batches] == np.cumsum(
        [0, *(batch.num_rows for _, batch in batches[:-1])]
    ).tolist()
    table = pa.Table.from_batches([batch for _, batch in batches])
    assert table["record_id"].to_pylist() == people()["record_id"].to_pylist()


@pytest.mark.parametrize("compressed", [False, True])
def test_memory_holds_a_batch_and_not_the_file(
    tmp_path: Path, monkeypatch: Any, compressed: bool
) -> None:
    rows, bound = 40_000, 2 << 20
    monkeypatch.setattr(part, "BATCH_BYTES", bound)
    content = {
        "subject_id": np.array([f"p{at // 9}" for at in range(rows)]),
        "label": np.zeros(rows, np.uint8),
        "pixels": np.resize(np.arange(251, dtype=np.uint8), (rows, 1, 32, 48)),
    }
    path = saved(tmp_path, content, compressed=compressed)
    spec = small_spec(features={"column": "pixels", "shape": [1, 32, 48]})
    assert content.pop("pixels").nbytes > 25 * bound
    content.clear()
    tracemalloc.start()
    before, most = pa.total_allocated_bytes(), 0
    for _, batch in open_source(spec, path, ()).batches():
        most = max(most, pa.total_allocated_bytes() - before)
        del batch
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak + most < 4 * bound + (4 << 20)


# Hostile and broken files


def refusal(tmp_path: Path, path: Path, **spec: Any) -> str:
    with pytest.raises(IngestError) as caught:
        stage(path, tensor_spec(**spec), tmp_path / "s")
    assert not any((tmp_path / "s").iterdir())
    assert "person-" not in str(caught.value)
    assert caught.value.fix
    return str(caught.value)


class Boom:
    def __reduce__(self) -> Any:
        return (pytest.fail, ("an array was unpickled",))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"label": np.array([Boom()] * 240, object)}, "'label' holds Python objects"),
        ({"pixels": np.zeros((240, 5))}, "shape [5], the spec says [1, 2, 3]"),
        ({"pixels": np.zeros((239, 6))}, "has 239 rows"),
        ({"pixels": np.asfortranarray(np.zeros((240, 2, 3)))}, "Fortran order"),
        ({"pixels": np.zeros((240, 6), complex)}, "of a kind that is not read"),
        ({"pixels": np.zeros((240, 6), np.longdouble)}, "of a kind that is not read"),
        ({"when": np.zeros(240, "M8[s]")}, "of a kind that is not read"),
        ({"pair": np.zeros(240, "i4,f4")}, "of a kind that is not read"),
        ({"nothing": np.zeros((240, 0))}, "no rows or empty ones"),
        ({"scalar": np.float64(3)}, "no rows or empty ones"),
        ({"texts": np.zeros((240, 2), "U3")}, "several texts a row"),
        ({"texts": np.zeros(240, "U300000")}, "rows of 1,200,000 bytes"),
        ({"label": np.full(240, 4)}, "column 'label', row 0: label out of range"),
        ({"pixels": np.where(np.arange(1440) == 63, np.nan, 0).reshape(240, 6)}, "row 10: NaN"),
        ({"subject_id": np.array(["a"] * 17 + [""] + ["b"] * 222)}, "row 17: null or empty"),
        ({"subject_id": np.array([b"\xff"] * 240)}, "text that is not UTF-8"),
        ({"subject_id": np.full(240, 0x7FFFFFFF, "<u4").view("U1")}, "text that is not UTF-8"),
        ({"subject_id": np.full(240, 0xD800, "<u4").view("U1")}, "text that is not UTF-8"),
        ({"role": np.zeros(240)}, "which expunge writes itself"),
        ({"record_id": np.array(["r"] * 240)}, "occur more than once in the"),
    ],
)  # fmt: skip
def test_an_array_that_cannot_be_taken_is_named(tmp_path: Path, change: Any, said: str) -> None:
    assert said in refusal(tmp_path, saved(tmp_path, arrays(**change)))


def test_a_column_without_an_array_is_named(tmp_path: Path) -> None:
    content = arrays()
    del content["subject_id"]
    assert "column 'subject_id' is missing" in refusal(tmp_path, saved(tmp_path, content))


def archive(
    path: Path, change: Callable[[zipfile.ZipFile], None], *, kind: int = zipfile.ZIP_STORED
) -> Path:
    """An NPZ file of `arrays()`, with something more in it."""
    with zipfile.ZipFile(path, "w", kind) as whole:
        for name, values in arrays().items():
            whole.writestr(f"{name}.npy", npy(values))
        change(whole)
    return path


def npy(values: np.ndarray) -> bytes:
    sink = io.BytesIO()
    np.lib.format.write_array(sink, values, allow_pickle=False)
    return sink.getvalue()


def header(text: str, version: bytes = b"\x01\x00") -> bytes:
    width = "<H" if version == b"\x01\x00" else "<I"
    return b"\x93NUMPY" + version + struct.pack(width, len(text)) + text.encode()


GOOD = "{'descr': '<f4', 'fortran_order': False, 'shape': (240,), }"


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("label.npy", npy(np.zeros(240)), "two arrays of one name"),
        ("notes.txt", b"person-1", "entry 5 of the archive is not an array"),
        ("x.npy", b"", "'x': not a readable array"),
        ("x.npy", b"person-1", "'x': not a readable array"),
        ("x.npy", header("{'descr': 'person-1'}"), "'x': not a readable array"),
        ("x.npy", header("(" * 9000), "'x': not a readable array"),
        ("x.npy", header("9" * 9000), "'x': not a readable array"),
        ("x.npy", header(GOOD.replace("240", "-1")), "no rows or empty ones"),
        ("x.npy", header(GOOD.replace("240", "10**9")), "'x': not a readable array"),
        ("x.npy", header(GOOD, b"\x03\x00"), "'x': not a readable array"),
        ("x.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + b" " * 99, "'x': not a readable array"),
        ("x.npy", header(GOOD.replace("<f4", "|O")) + b"person-1", "holds Python objects"),
        ("x.npy", header(GOOD) + bytes(959), "of another size than its header says"),
        ("x.npy", header(GOOD) + bytes(961), "of another size than its header says"),
        ("x.npy", header(GOOD.replace("240", "240000000000")), "of another size"),
        ("x.npy", header(GOOD.replace("<f4", "<U0")), "of a kind that is not read"),
    ],
)  # fmt: skip
def test_a_hostile_archive_is_refused(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    path = archive(tmp_path / "x.npz", lambda whole: whole.writestr(name, content))
    assert said in refusal(tmp_path, path)


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_compression_without_bounds_is_refused(tmp_path: Path, kind: int) -> None:
    path = archive(tmp_path / "x.npz", lambda _: None, kind=kind)
    assert "entry 1 of the archive is not an array" in refusal(tmp_path, path)


def test_a_zip_bomb_is_refused_by_what_it_declares(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(npz_module, "_BOMB_BYTES", 1 << 20)
    zeros = np.zeros((240, 6000))
    path = saved(tmp_path, arrays(pixels=zeros), compressed=True)
    said = refusal(tmp_path, path, features={"column": "pixels", "shape": [6000]})
    assert "taken for a zip bomb" in said
    saved(tmp_path, arrays(pixels=zeros))
    spec = tensor_spec(features={"column": "pixels", "shape": [6000]})
    assert stage(path, spec, tmp_path / "plain").rows_added == 240


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("damage", ["cut", "flip", "prefix", "other"])
def test_a_damaged_archive_is_refused(tmp_path: Path, compressed: bool, damage: str) -> None:
    path = saved(tmp_path, arrays(pixels=np.random.default_rng(0).random((240, 6))))
    if compressed:
        saved(tmp_path, arrays(pixels=np.random.default_rng(0).random((240, 6))), compressed=True)
    with zipfile.ZipFile(path) as whole:
        at = whole.getinfo("pixels.npy").header_offset + 800
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[at] ^= 0x10
    path.write_bytes(
        {"cut": content[:-200], "flip": content, "prefix": content[:9], "other": b"x" * 99}[damage]
    )
    assert "truncated or corrupt" in refusal(tmp_path, path)


def test_every_single_flipped_byte_is_refused_or_harmless(tmp_path: Path) -> None:
    few = {name: values[:40] for name, values in arrays().items()}
    path = saved(tmp_path, few)
    content = path.read_bytes()
    spec = tensor_spec()
    meant = pa.Table.from_batches([b for _, b in open_source(spec, path, ()).batches()])
    random = np.random.default_rng(0)
    for at in random.choice(len(content), 400, replace=False).tolist():
        damaged = bytearray(content)
        damaged[at] ^= int(random.integers(1, 256))
        path.write_bytes(damaged)
        try:
            found = [batch for _, batch in open_source(spec, path, ()).batches()]
        except IngestError:
            continue
        assert pa.Table.from_batches(found).equals(meant)
