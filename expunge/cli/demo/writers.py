"""Synthetic writers of scikit-learn's digits: people whose rows a model can remember.

Every writer has an own style (rotation, slant, scale, contrast, offset, noise), the same in all
rows, so that held-out writers are harder than known ones and memory of a person can be measured.
A page depends on (seed, writer) alone. The writers are made up, their ids are treated like
anyone's: shown nowhere outside dataset and vault.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa

Images: TypeAlias = npt.NDArray[np.float32]

WRITERS = 400
ROWS = 20
SIDE = 16
CLASSES = 10
SEED = 20_240_108
_ROW_GROUP = 50


@dataclass(frozen=True)
class Style:
    """How one writer writes.

    `rotation` in radians; `slant` is the horizontal shift per unit of height; `scale` 1 is the
    original size; ink = contrast · ink + offset, with ink in 0 … 1; `noise` its standard deviation.
    """

    rotation: float
    slant: float
    scale: float
    contrast: float
    offset: float
    noise: float


@dataclass(frozen=True, eq=False)
class Page:
    """One writer's rows: `labels` [20] and `pixels` [20, 256], float32 around 0 … 1."""

    subject_id: str = field(repr=False)
    record_ids: tuple[str, ...]
    labels: npt.NDArray[np.int64]
    pixels: Images = field(repr=False)


def subject_of(writer: int, seed: int = SEED) -> str:
    """The id of a writer."""
    return f"writer-{_digest('subject', seed, writer)[:12]}"


def style_of(writer: int, seed: int = SEED) -> Style:
    """The style of a writer: bounded, so that no one is hard to read by a rare style alone."""
    draw = np.random.default_rng([seed, writer, 0])
    rotation, slant = math.radians(draw.uniform(-30, 30)), draw.uniform(-0.5, 0.5)
    scale, contrast = math.exp(draw.uniform(-0.2, 0.2)), draw.uniform(0.6, 1.4)
    offset = draw.uniform(-0.3, 0.3)
    # In proportion to the ink: else the writers with the faintest would be all that is hard.
    noise = contrast * draw.uniform(0.3, 0.45)
    return Style(rotation, slant, scale, contrast, offset, noise)


def page(writer: int, seed: int = SEED) -> Page:
    """The rows of a writer: two of each digit, written in the writer's style."""
    originals, classes = _digits()
    draw = np.random.default_rng([seed, writer, 1])
    labels = np.repeat(np.arange(CLASSES), ROWS // CLASSES)
    picked = np.array([draw.choice(np.flatnonzero(classes == label)) for label in labels])
    pixels = _written(originals[picked], style_of(writer, seed), draw)
    records = tuple(_digest("record", seed, writer, row)[:20] for row in range(ROWS))
    return Page(subject_of(writer, seed), records, labels, pixels.reshape(ROWS, SIDE * SIDE))


def write_parquet(path: Path, writers: Iterable[int], seed: int = SEED) -> int:
    """Write the pages of some writers, a few at a time, to one Parquet file; returns its rows."""
    import pyarrow.parquet as pq

    rows = 0
    with pq.ParquetWriter(path, _schema()) as file:
        for pages in _groups(page(writer, seed) for writer in writers):
            table = _table(pages)
            file.write_table(table)
            rows += table.num_rows
    return rows


def _digest(*parts: object) -> str:
    text = "\0".join(str(part) for part in ("expunge demo", *parts))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@cache
def _digits() -> tuple[Images, npt.NDArray[np.int64]]:
    """The 1,797 digits, enlarged from 8×8 to 16×16, ink in 0 … 1, and their classes."""
    from scipy.ndimage import zoom
    from sklearn.datasets import load_digits

    digits = load_digits()
    large = zoom(digits.images / 16.0, (1, 2, 2), order=1, grid_mode=True, mode="nearest")
    return large.astype(np.float32), digits.target.astype(np.int64)


def _written(images: Images, style: Style, draw: np.random.Generator) -> Images:
    from scipy.ndimage import affine_transform

    turn = np.array(
        [
            [math.cos(style.rotation), -math.sin(style.rotation)],
            [math.sin(style.rotation), math.cos(style.rotation)],
        ]
    )
    back = np.linalg.inv(style.scale * turn @ np.array([[1.0, 0.0], [style.slant, 1.0]]))
    middle = np.full(2, (SIDE - 1) / 2)
    shift = middle - back @ middle
    moved = np.stack([affine_transform(image, back, shift, order=1) for image in images])
    inked = style.contrast * moved + style.offset + draw.normal(0, style.noise, moved.shape)
    return np.asarray(inked, dtype=np.float32)


def _groups(pages: Iterator[Page]) -> Iterator[list[Page]]:
    group: list[Page] = []
    for each in pages:
        group.append(each)
        if len(group) == _ROW_GROUP:
            yield group
            group = []
    if group:
        yield group


def _schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("record_id", pa.string(), nullable=False),
            pa.field("subject_id", pa.string(), nullable=False),
            pa.field("label", pa.int64(), nullable=False),
            pa.field("pixels", pa.list_(pa.float32(), SIDE * SIDE), nullable=False),
        ]
    )


def _table(pages: list[Page]) -> pa.Table:
    import pyarrow as pa

    flat = pa.array(np.concatenate([each.pixels for each in pages]).ravel())
    columns = [
        pa.array([record for each in pages for record in each.record_ids]),
        pa.array([each.subject_id for each in pages for _ in each.record_ids]),
        pa.array(np.concatenate([each.labels for each in pages])),
        pa.FixedSizeListArray.from_arrays(flat, SIDE * SIDE),
    ]
    return pa.table(columns, schema=_schema())
