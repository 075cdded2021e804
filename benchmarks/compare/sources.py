"""The benchmark's datasets as Parquet: record_id, subject_id, label, one tensor column.

Fashion-MNIST and the spoken digits are read from `$EXPUNGE_DATA`; where they are absent the
benchmark says so and does the rest. All subjects are numbers here, made up or given.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from expunge.cli.demo.writers import WRITERS
from expunge.cli.demo.writers import write_parquet as write_writers

DATA = "EXPUNGE_DATA"
FASHION_ROWS = 30_800  # 65 % of them are 20,000 training rows
FASHION_SUBJECTS = 2_000
_CHUNK = 2_000


class AbsentError(Exception):
    """The files of a dataset are not on this machine."""


@dataclass(frozen=True)
class Arrays:
    """Rows in memory-mapped or small arrays: `x` [N, ...], `label` [N], `subject` [N]."""

    x: npt.NDArray[np.number]
    label: npt.NDArray[np.integer]
    subject: npt.NDArray[np.integer]
    scale: Callable[[npt.NDArray[np.number]], npt.NDArray[np.float32]]
    split: npt.NDArray[np.str_] | None = None


def write_source(dataset: str, path: Path) -> None:
    """Write the Parquet file that `dataset` is ingested from.

    Raises:
        AbsentError: its files are not here.
    """
    if dataset == "writers":
        write_writers(path, range(WRITERS))
        return
    arrays = {
        "digits": _digits,
        "fashion": lambda: _fashion(FASHION_ROWS),
        "fashion-all": lambda: _fashion(None),
        "spoken": _spoken,
    }[dataset]()
    width = int(np.prod(arrays.x.shape[1:]))
    schema = _schema(width, split=arrays.split is not None)
    with pq.ParquetWriter(path, schema) as file:
        for batch in _batches(arrays, schema):
            file.write_batch(batch)


def _digits() -> Arrays:
    """scikit-learn's 1,797 digits, each of a subject of its own."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    count = len(digits.target)
    return Arrays(digits.images, digits.target, np.arange(count), lambda x: _float32(x / 16))


def _fashion(count: int | None) -> Arrays:
    """A seeded sample, with subjects of Zipf-like sizes: few have many rows, most a handful."""
    stored = _open("fashion_mnist.npz")
    draw = np.random.default_rng(2024)
    rows = draw.permutation(len(stored["label"]))[:count]
    weights = 1 / np.arange(1, FASHION_SUBJECTS + 1) ** 0.7
    subject = draw.choice(FASHION_SUBJECTS, len(rows), p=weights / weights.sum())
    return Arrays(
        stored["image"][rows], stored["label"][rows], subject, lambda x: _float32(x / 255)
    )


def _spoken() -> Arrays:
    """Six people who say the ten digits fifty times each."""
    stored = _open("spoken_digits.npz")
    speaker = np.unique(stored["speaker"], return_inverse=True)[1]
    split = np.where(speaker == 0, "E", "T")  # too few people for a hash; see data._speakers
    return Arrays(stored["logmel"], stored["label"], speaker, _float32, split)


def _open(name: str) -> dict[str, npt.NDArray[np.generic]]:
    folder = os.environ.get(DATA)
    if not folder or not Path(folder, name).is_file():
        raise AbsentError(f"{name} is not in ${DATA}")
    with np.load(Path(folder, name), allow_pickle=False) as stored:
        return {key: stored[key] for key in stored.files}


def _float32(x: npt.NDArray[np.number]) -> npt.NDArray[np.float32]:
    return np.asarray(x, dtype=np.float32)


def _schema(width: int, *, split: bool) -> pa.Schema:
    fields = [
        pa.field("record_id", pa.string(), nullable=False),
        pa.field("subject_id", pa.string(), nullable=False),
        pa.field("label", pa.int64(), nullable=False),
        pa.field("pixels", pa.list_(pa.float32(), width), nullable=False),
    ]
    return pa.schema([*fields, pa.field("split", pa.string())] if split else fields)


def _batches(arrays: Arrays, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for start in range(0, len(arrays.label), _CHUNK):
        part = slice(start, start + _CHUNK)
        rows = len(arrays.label[part])
        pixels = arrays.scale(arrays.x[part]).reshape(-1)
        columns = [
            pa.array([f"r{start + row}" for row in range(rows)]),
            pa.array([f"s{subject}" for subject in arrays.subject[part]]),
            pa.array(arrays.label[part].astype(np.int64)),
            pa.FixedSizeListArray.from_arrays(pa.array(pixels), pixels.size // rows),
        ]
        if arrays.split is not None:
            columns.append(pa.array(arrays.split[part].tolist()))
        yield pa.record_batch(columns, schema=schema)
