"""Small PNG and JPEG files of known pixels, and folders of them with a manifest."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
from PIL import Image

from expunge.specs import DatasetSpec
from tests.dataset.world import people, small_spec

SHAPE = (3, 8, 6)


def image_spec(shape: tuple[int, ...] = SHAPE, **features: Any) -> DatasetSpec:
    return small_spec(
        features={"column": "image", "shape": list(shape), "encoded": True} | features
    )


def pixels(number: int, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """uint8 [C, H, W]."""
    return np.random.default_rng(number).integers(0, 256, shape, dtype=np.uint8)


def encoded(values: np.ndarray, kind: str = "PNG", mode: str | None = None, **more: Any) -> bytes:
    """[C, H, W] as a file."""
    whole = np.moveaxis(values, 0, -1)
    image = Image.fromarray(whole[..., 0] if len(values) == 1 else whole)
    sink = io.BytesIO()
    (image.convert(mode) if mode else image).save(sink, kind, **more)
    return sink.getvalue()


def pictured(count: int = 240, shape: tuple[int, ...] = SHAPE) -> pa.Table:
    """`people()` with a PNG of its own in each row in place of the two numbers."""
    table = people().drop_columns(["height", "weight"]).slice(0, count)
    files = [encoded(pixels(at, shape)) for at in range(count)]
    return table.append_column("image", pa.array(files, pa.binary()))


def folder_of_images(folder: Path, table: pa.Table) -> Path:
    """The images as files, and a manifest that names them; its path."""
    names = [f"{at % 7}/secret-{at}.png" for at in range(table.num_rows)]
    for name, content in zip(names, table["image"].to_pylist(), strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    at = table.schema.get_field_index("image")
    pacsv.write_csv(table.set_column(at, "image", pa.array(names)), folder / "manifest.csv")
    return folder / "manifest.csv"
