"""An ingest holds batches, never a file; measured on real data where it is there."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from expunge.dataset import summary
from expunge.dataset.source import open_source, part
from expunge.specs import DatasetSpec
from tests.dataset.saved import saved_dataset
from tests.dataset.world import publish, small_spec, stage

ROWS, WIDTH, BOUND = 16_000, 256, 1 << 20


def wide_table() -> pa.Table:
    """16 MiB of features, and 8 MiB of text that the spec does not name."""
    numbers = np.resize(np.arange(251, dtype=np.float32), ROWS * WIDTH)
    return pa.table(
        {
            "record_id": [f"r{at}" for at in range(ROWS)],
            "subject_id": [f"p{at // 9}" for at in range(ROWS)],
            "label": np.arange(ROWS) % 4,
            "x": pa.FixedSizeListArray.from_arrays(pa.array(numbers), WIDTH),
            "note": pa.array([f"{at:0512d}" for at in range(ROWS)]),
        }
    )


def as_parquet(folder: Path) -> Path:
    pq.write_table(wide_table(), folder / "x.parquet")
    return folder / "x.parquet"


def as_saved(folder: Path) -> Path:
    return saved_dataset(folder / "x", wide_table(), files=1, rows=ROWS)


def as_csv(folder: Path) -> Path:
    table = wide_table()
    text = pa.array([" ".join(map(str, row.as_py())) for row in table["x"].slice(0, 9)])
    long = text.take(pa.array(np.arange(ROWS) % 9))
    pacsv.write_csv(table.set_column(3, "x", long), folder / "x.csv")
    return folder / "x.csv"


@pytest.mark.parametrize("write", [as_parquet, as_saved, as_csv])
def test_batches_are_bounded_whatever_the_file_holds(
    tmp_path: Path, monkeypatch: Any, write: Callable[[Path], Path]
) -> None:
    monkeypatch.setattr(part, "BATCH_BYTES", BOUND)
    path = write(tmp_path)
    spec = small_spec(features={"column": "x", "shape": [WIDTH]})
    rows = 0
    for _, batch in open_source(spec, path, ()).batches():
        assert batch.num_rows * 4 * WIDTH <= BOUND
        assert batch.nbytes <= 3 * BOUND
        rows += batch.num_rows
    assert rows == ROWS


DATA = Path(os.environ.get("EXPUNGE_DATA", "/absent"))


@pytest.mark.skipif(not DATA.is_dir(), reason="$EXPUNGE_DATA names no folder of real data")
def test_fashion_mnist_is_ingested_in_less_memory_than_it_has_pixels(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(part, "BATCH_BYTES", 8 << 20)
    with np.load(DATA / "fashion_mnist.npz") as found:
        np.savez(
            tmp_path / "fashion.npz",
            image=found["image"],
            label=found["label"],
            subject_id=np.arange(60_000) // 30,
        )
    spec = DatasetSpec.model_validate(
        {
            "name": "people",
            "classes": 10,
            "features": {"column": "image", "shape": [1, 28, 28]},
            "shards": 64,
        }
    )
    most, before = 0, pa.total_allocated_bytes()

    def watch(*told: object) -> None:
        nonlocal most
        most = max(most, pa.total_allocated_bytes() - before)

    tracemalloc.start()
    stage(tmp_path / "fashion.npz", spec, tmp_path / "staged", on_progress=watch)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most + peak < 60_000 * 784 * 4 / 2
    store = publish(tmp_path / "version", spec, None, tmp_path / "staged")
    assert summary(store).rows == 60_000
    at = next(n for n in store.numbers if store.has(n))
    row = store.read(at).slice(0, 1).to_pylist()[0]
    with np.load(DATA / "fashion_mnist.npz") as found:
        meant = found["image"][int(row["record_id"][1:])]
    assert row["image"] == meant.reshape(-1).astype(float).tolist()
