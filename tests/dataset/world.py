"""Small datasets on disk, shared by the tests of this room."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from expunge.dataset import StagedIngest, Store, stage_ingest
from expunge.specs import DatasetSpec

KEY = bytes(range(32))


def small_spec(**changes: Any) -> DatasetSpec:
    fields: dict[str, Any] = {
        "name": "people",
        "classes": 4,
        "features": {"columns": ["height", "weight"]},
        "shards": 8,
        "min_held_out_subjects": 1,
        "expectations": {"min_rows": 10, "min_rows_per_role": 1, "max_label_drift": 0.2},
    }
    return DatasetSpec.model_validate(fields | changes)


def tensor_spec(**changes: Any) -> DatasetSpec:
    return small_spec(**{"features": {"column": "pixels", "shape": [1, 2, 3]}} | changes)


def people(subjects: int = 60, rows: int = 4, *, first: int = 0, seed: int = 0) -> pa.Table:
    """`rows` rows for each of `subjects` people, whose numbers start at `first`."""
    random, count = np.random.default_rng(seed), subjects * rows
    owner = first + np.arange(count) // rows
    return pa.table(
        {
            "record_id": [f"record-{who}-{at % rows}" for at, who in enumerate(owner)],
            "subject_id": [f"person-{who}" for who in owner],
            "label": (np.arange(count) % 4).astype(np.int64),
            "height": random.normal(size=count).astype(np.float32),
            "weight": random.normal(size=count).astype(np.float32),
        }
    )


def with_pixels(table: pa.Table, seed: int = 0) -> pa.Table:
    """The same rows with a 1×2×3 tensor instead of the two numbers."""
    pixels = np.random.default_rng(seed).normal(size=(table.num_rows * 6)).astype(np.float32)
    tensors = pa.FixedSizeListArray.from_arrays(pa.array(pixels), 6)
    return table.drop_columns(["height", "weight"]).append_column("pixels", tensors)


def nobody(subjects: Collection[str]) -> set[str]:
    return set()


def ingest(
    folder: Path,
    table: pa.Table,
    spec: DatasetSpec | None = None,
    *,
    current: Store | None = None,
    number: int = 1,
    name: str = "version",
    **options: Any,
) -> tuple[Store, StagedIngest]:
    """Stage a table and lay it over a copy of `current`, as publishing would."""
    spec = spec or small_spec()
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / f"{name}-source.parquet"
    pq.write_table(table, source)
    settings = {"mode": "append", "suppressed": nobody} | options
    staging = folder / f"{name}-staged"
    staged = stage_ingest(
        spec, source, current=current, staging=staging, key=KEY, ingest=number, **settings
    )
    before = current if settings["mode"] == "append" else None
    return publish(folder / name, spec, before, staging), staged


def stage(
    source: Path, spec: DatasetSpec, staging: Path, *, current: Store | None = None, **options: Any
) -> StagedIngest:
    """Stage any source."""
    settings = {"mode": "append", "suppressed": nobody, "ingest": 1} | options
    return stage_ingest(spec, source, current=current, staging=staging, key=KEY, **settings)


def publish(folder: Path, spec: DatasetSpec, current: Store | None, staging: Path) -> Store:
    folder.mkdir(parents=True)
    for origin in ([current.folder] if current else []) + [staging]:
        for file in origin.iterdir():
            (folder / file.name).write_bytes(file.read_bytes())
    return Store(folder, spec)


def rows_of(store: Store) -> list[dict[str, Any]]:
    """Every row, as read back, by record id."""
    rows = [row for number in store.numbers for row in store.read(number).to_pylist()]
    return sorted(rows, key=lambda row: row["record_id"])


def digests(folder: Path) -> Mapping[str, str]:
    """SHA-256 of each file."""
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.iterdir())
    }
