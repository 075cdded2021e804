"""People's rows, drawn by a seed: Parquet files for the benchmarks of datasets."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from expunge.specs import DatasetSpec

CLASSES = 10
_FILE_ROWS = 1_000_000
_GROUP_ROWS = 1 << 16


def people_spec(name: str, shards: int, width: int) -> DatasetSpec:
    """The spec of a dataset of tensors of `width` float32."""
    return DatasetSpec.model_validate(
        {
            "name": name,
            "classes": CLASSES,
            "features": {"column": "x", "shape": [width]},
            "shards": shards,
            "min_held_out_subjects": 1,
        }
    )


def person(number: int) -> str:
    """A person's id."""
    return person_ids([number])[0].as_py()


def person_ids(numbers: Iterable[int] | npt.NDArray[np.int64]) -> pa.Array:
    """The ids of people, by number."""
    return _named("person-", np.asarray(numbers, np.int64))


def write_people(folder: Path, *, rows: int, subjects: int, width: int, seed: int = 0) -> None:
    """Rows whose subjects come in no order, as events of many people do; a million to a file."""
    folder.mkdir(parents=True)
    draw = np.random.default_rng(seed)
    for begin in range(0, rows, _FILE_ROWS):
        file = folder / f"rows-{begin // _FILE_ROWS:04d}.parquet"
        end = min(rows, begin + _FILE_ROWS)
        with pq.ParquetWriter(file, _schema(width), use_dictionary=["label"]) as writer:
            for first in range(begin, end, _GROUP_ROWS):
                count = min(_GROUP_ROWS, end - first)
                owner = draw.integers(0, subjects, count)
                writer.write_batch(_batch(draw, first, owner, width), row_group_size=count)


def _batch(
    draw: np.random.Generator, first: int, owner: npt.NDArray[np.int64], width: int
) -> pa.RecordBatch:
    values = pa.array(draw.standard_normal(len(owner) * width, np.float32))
    columns = [
        _named("record-", np.arange(first, first + len(owner))),
        person_ids(owner),
        pa.array(draw.integers(0, CLASSES, len(owner))),
        pa.FixedSizeListArray.from_arrays(values, type=_schema(width).field("x").type),
    ]
    return pa.record_batch(columns, schema=_schema(width))


def _schema(width: int) -> pa.Schema:
    tensor = pa.list_(pa.field("element", pa.float32(), nullable=False), width)
    fields = {"record_id": pa.string(), "subject_id": pa.string(), "label": pa.int64(), "x": tensor}
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in fields.items()])


def _named(prefix: str, numbers: npt.NDArray[np.int64]) -> pa.Array:
    return pc.binary_join_element_wise(prefix, pa.array(numbers).cast(pa.string()), "")
