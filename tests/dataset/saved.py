"""Folders as Hugging Face's `datasets` saves them, written with pyarrow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from tests.dataset.world import people


def saved_dataset(folder: Path, table: pa.Table, *, files: int = 2, rows: int = 50) -> Path:
    """`table` as `Dataset.save_to_disk(folder, num_shards=files)` lays it out."""
    folder.mkdir(parents=True)
    names = [f"data-{at:05d}-of-{files:05d}.arrow" for at in range(files)]
    share = -(-table.num_rows // files)
    for at, name in enumerate(names):
        with (folder / name).open("wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table.slice(at * share, share), max_chunksize=rows)
    write_state(folder, [{"filename": name} for name in names])
    (folder / "dataset_info.json").write_text(json.dumps({"features": {}, "splits": None}))
    return folder


def write_state(folder: Path, data_files: Any, **more: Any) -> None:
    state = {
        "_data_files": data_files,
        "_fingerprint": "a0b1c2d3e4f50617",
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": "train",
    }
    (folder / "state.json").write_text(json.dumps(state | more))


def extension(name: str, storage: pa.DataType, extension_name: str, metadata: str) -> pa.Field:
    """A field of an extension type, as a stream says it."""
    said = {"ARROW:extension:name": extension_name, "ARROW:extension:metadata": metadata}
    return pa.field(name, storage, metadata=said)


def with_array2d(extension_name: str, metadata: str) -> pa.Table:
    """`people()` with an Array2D of 2×3 numbers in place of the two numbers."""
    table = people().drop_columns(["height", "weight"])
    values = [[[at, at + 1, at + 2], [0, 1, 2]] for at in range(240)]
    storage = pa.list_(pa.list_(pa.int32()))
    field = extension("pixels", storage, extension_name, metadata)
    return table.append_column(field, pa.array(values, storage))
