from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import expunge.dataset.sealed as sealed_module
from expunge.dataset import (
    ROLES,
    ShardError,
    Store,
    Where,
    forget_rows,
    open_sealed,
    seal_rows,
    sweep_sealing,
)
from expunge.keys import KeyMissingError, KeyRing
from tests.dataset.world import KEY, rows_of

NAMES = {f"person-{number}" for number in range(0, 60, 2)}


def seal(store: Store, folder: Path, batch: str = "b-1", names: set[str] = NAMES) -> Path:
    path = folder / "sealed" / f"{batch}.sealed"
    keys = KeyRing(folder / "keys")
    rows = seal_rows(store, KEY, names, keys=keys, batch_id=batch, path=path)
    assert rows == 4 * len(names)
    return path


def test_sealed_rows_come_back_as_they_were(tmp_path: Path, shared_store: Store) -> None:
    path = seal(shared_store, tmp_path)
    table = pa.Table.from_batches(open_sealed(path, KeyRing(tmp_path / "keys"), "b-1"))
    rows = [row for row in rows_of(shared_store) if row["subject_id"] in NAMES]
    codes = dict(
        zip(sorted(NAMES), shared_store.placement(KEY).place(sorted(NAMES)).code, strict=True)
    )
    meant = sorted(
        (codes[r["subject_id"]], r["label"], ROLES.index(r["role"]), r["height"], r["weight"])
        for r in rows
    )
    found = sorted((r["subject"], r["y"], r["role"], *r["x"]) for r in table.to_pylist())
    assert found == meant


def test_what_is_sealed_stays_though_a_process_wakes_up_when_the_people_are_gone(
    tmp_path: Path, shared_store: Store
) -> None:
    path = seal(shared_store, tmp_path)
    content, keys = path.read_bytes(), KeyRing(tmp_path / "keys")
    again = seal_rows(shared_store, KEY, ["nobody"], keys=keys, batch_id="b-1", path=path)
    assert again == 0
    assert path.read_bytes() == content
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_half_sealed_rows_of_killed_processes_are_swept_by_batch(tmp_path: Path) -> None:
    for name in (".b-1.sealed.0123.aside", ".b-2.sealed.4567.aside", "b-1.sealed"):
        (tmp_path / name).write_bytes(b"")
    sweep_sealing(tmp_path, {"b-1"})
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".b-2.sealed.4567.aside",
        "b-1.sealed",
    ]


def test_the_file_shows_neither_ids_nor_values(tmp_path: Path, shared_store: Store) -> None:
    content = seal(shared_store, tmp_path).read_bytes()
    row = next(row for row in rows_of(shared_store) if row["subject_id"] in NAMES)
    assert row["subject_id"].encode() not in content
    assert np.float32(row["height"]).tobytes() not in content
    keys = KeyRing(tmp_path / "keys")
    plain = pa.Table.from_batches(open_sealed(tmp_path / "sealed/b-1.sealed", keys, "b-1"))
    assert set(plain.schema.names) == {"x", "y", "subject", "role", "ingest"}


def test_without_its_key_nothing_comes_back(tmp_path: Path, shared_store: Store) -> None:
    path, keys = seal(shared_store, tmp_path), KeyRing(tmp_path / "keys")
    keys.destroy("b-1")
    with pytest.raises(KeyMissingError):
        list(open_sealed(path, keys, "b-1"))


def chunk_bounds(content: bytes) -> list[int]:
    at, bounds = len(sealed_module._MAGIC), []
    while at < len(content):
        bounds.append(at)
        at += 8 + int.from_bytes(content[at : at + 8], "little")
    return [*bounds, len(content)]


def dropped_last(content: bytes) -> bytes:
    return content[: chunk_bounds(content)[-2]]


def dropped_first(content: bytes) -> bytes:
    bounds = chunk_bounds(content)
    return content[: bounds[0]] + content[bounds[1] :]


def swapped(content: bytes) -> bytes:
    a, b, c = chunk_bounds(content)[:3]
    return content[:a] + content[b:c] + content[a:b] + content[c:]


def flipped(content: bytes) -> bytes:
    return content[:60] + bytes([content[60] ^ 1]) + content[61:]


def extended(content: bytes) -> bytes:
    return content + b"\0"


def cut(content: bytes) -> bytes:
    return content[:-1]


def emptied(content: bytes) -> bytes:
    return b""


def only_magic(content: bytes) -> bytes:
    return content[: len(sealed_module._MAGIC)]


@pytest.mark.parametrize(
    "damage", [dropped_last, dropped_first, swapped, flipped, extended, cut, emptied, only_magic]
)
def test_damage_is_found(tmp_path: Path, shared_store: Store, damage: object) -> None:
    path = seal(shared_store, tmp_path)
    assert len(chunk_bounds(path.read_bytes())) > 4
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(ShardError, match="absent, cut off, altered"):
        list(open_sealed(path, KeyRing(tmp_path / "keys"), "b-1"))


def test_rows_of_another_batch_do_not_open(tmp_path: Path, shared_store: Store) -> None:
    path = seal(shared_store, tmp_path)
    seal(shared_store, tmp_path, "b-2", {"person-1"})
    with pytest.raises(ShardError):
        list(open_sealed(path, KeyRing(tmp_path / "keys"), "b-2"))
    with pytest.raises(ShardError):
        list(open_sealed(tmp_path / "absent", KeyRing(tmp_path / "keys"), "b-1"))


def test_forget_rows_of_several_batches_are_one_dataset(
    tmp_path: Path, shared_store: Store
) -> None:
    paths = {
        "b-1": seal(shared_store, tmp_path),
        "b-2": seal(shared_store, tmp_path, "b-2", {"person-1", "person-3"}),
    }
    keys, spec = KeyRing(tmp_path / "keys"), shared_store.spec
    rows = forget_rows(spec, keys, paths)
    people = NAMES | {"person-1", "person-3"}
    trained = [r for r in rows_of(shared_store) if r["role"] == "T" and r["subject_id"] in people]
    assert len(rows) == len(trained)
    assert sorted(rows.labels) == sorted(row["label"] for row in trained)
    assert {ROLES[code] for code in rows.role_codes} == {"T"}
    x, y = rows.__getitems__([0, len(rows) - 1])
    assert x.shape == (2, 2)
    assert y.tolist() == [rows.labels[0], rows.labels[-1]]
    everything = forget_rows(spec, keys, paths, where=Where(roles=ROLES))
    assert len(everything) == 4 * len(people)
    assert len(forget_rows(spec, keys, paths, where=Where(max_ingest=0))) == 0
    assert len(forget_rows(spec, keys, paths, where=Where(limit=5))) == 5
