"""How fast an ingest is beside pyarrow alone making the same shards of the same Parquet.

    .venv/bin/python -m benchmarks.ingest [--rows 2000000] [--folder DIR] [--json FILE]

The baseline reads the files in batches, asks the same keyed hash for each subject's shard, spills
by range of shards, sorts each range by shard, subject and record, and writes each shard with the
same writer options, on as many threads: the least that makes this layout in bounded memory. The
ingest also refuses what is wrong, drops the suppressed, sees that no record id comes twice, and
writes roles, indexes and the manifest. Neither publishes. Both run by turns, each time in a fresh
process; DVC's adding and pushing are in `benchmarks.erase`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from benchmarks.measured import (
    Clock,
    Cost,
    alone,
    bytes_in,
    machine,
    ratios,
    spread,
    write_json,
)
from benchmarks.synthetic import people_spec, write_people
from expunge.dataset import stage_ingest
from expunge.dataset.placement import Placement
from expunge.dataset.store import shard_name, write_parquet

LIMIT = 2.0
"""An ingest may take this many times as long as the copy."""
_KEY = bytes(range(32))
_PARTS, _BATCH_ROWS = 128, 1 << 17


def copy(source: Path, target: Path, shards: int) -> Cost:
    """The baseline."""
    with Clock() as clock:
        spilled = target / "spilled"
        spilled.mkdir(parents=True)
        parts = min(_PARTS, shards)
        _spill(source, spilled, shards, parts)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            files = [spilled / f"{part}.arrows" for part in range(parts)]
            list(pool.map(lambda file: _write_shards(file, target), files))
        shutil.rmtree(spilled)
    return clock.cost


def _spill(source: Path, spilled: Path, shards: int, parts: int) -> None:
    placement = Placement(_KEY, shards=shards, shares=people_spec("people", shards, 1).roles)
    writers: dict[int, pa.ipc.RecordBatchStreamWriter] = {}
    for file in sorted(source.iterdir()):
        with pq.ParquetFile(file, memory_map=True) as opened:
            for batch in opened.iter_batches(batch_size=_BATCH_ROWS):
                coded = batch["subject_id"].dictionary_encode()
                places = placement.place(coded.dictionary.to_pylist())
                shard = places.shard[coded.indices.to_numpy()]
                batch = batch.append_column("shard", pa.array(shard))  # noqa: PLW2901
                part = shard.astype(np.int64) * parts // shards
                order = np.argsort(part, kind="stable")
                bounds = np.searchsorted(part[order], np.arange(parts + 1)).tolist()
                batch = batch.take(pa.array(order))  # noqa: PLW2901
                for number in range(parts):
                    if number not in writers:
                        path = str(spilled / f"{number}.arrows")
                        writers[number] = pa.ipc.new_stream(path, batch.schema)
                    begin, end = bounds[number], bounds[number + 1]
                    writers[number].write_batch(batch.slice(begin, end - begin))
    for writer in writers.values():
        writer.close()


def _write_shards(file: Path, target: Path) -> None:
    with pa.memory_map(str(file)) as mapped, pa.ipc.open_stream(mapped) as stream:
        rows = stream.read_all().combine_chunks()
    keys = [(name, "ascending") for name in ("shard", "subject_id", "record_id")]
    rows = rows.sort_by(keys)
    numbers, starts = np.unique(rows["shard"].to_numpy(), return_index=True)
    rows = rows.drop_columns(["shard"])
    for number, begin, end in zip(numbers, starts, [*starts[1:], rows.num_rows], strict=True):
        shard = rows.slice(begin, end - begin)
        write_parquet(shard, target / shard_name(number), dictionaries=["label", "subject_id"])


def ingest(source: Path, target: Path, shards: int, width: int) -> Cost:
    """Ours, but for publishing."""
    with Clock() as clock:
        stage_ingest(
            people_spec("people", shards, width),
            source,
            mode="append",
            current=None,
            staging=target,
            key=_KEY,
            ingest=1,
            suppressed=_nobody,
        )
    return clock.cost


def _nobody(subjects: Collection[str]) -> set[str]:
    return set()


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the rows, run both by turns, compare."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--subjects", type=int, help="a tenth of the rows unless given")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--shards", type=int, default=1_024)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder is made")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args(arguments)
    found = {"machine": machine(), "rows": asked.rows, "shards": asked.shards, "width": asked.width}
    with TemporaryDirectory(dir=asked.folder, prefix="expunge-") as folder:
        people = asked.subjects or asked.rows // 10
        source = Path(folder) / "source"
        write_people(source, rows=asked.rows, subjects=people, width=asked.width)
        found |= {"subjects": people, "source_bytes": bytes_in(source), "runs": []}
        for number in range(asked.times):
            found["runs"].append(_both(source, Path(folder), asked.shards, asked.width))
            sys.stderr.write(f"run {number + 1} of {asked.times}\n")
    _show(found)
    write_json(asked.json, found)


def _both(source: Path, folder: Path, shards: int, width: int) -> dict[str, dict[str, float]]:
    """One run of each, the copy first, and that they made the same rows."""
    ours, theirs = folder / "ours", folder / "theirs"
    copied, copied_peak = alone(copy, source, theirs, shards)
    ingested, ingested_peak = alone(ingest, source, ours, shards, width)
    names = sorted(path.name for path in theirs.iterdir())
    assert names == sorted(path.name for path in ours.glob("shard-*"))
    columns = ["record_id", "subject_id", "label", "x"]
    for name in names[:: max(1, len(names) // 8)]:
        left, right = (ds.dataset(side / name).to_table(columns) for side in (ours, theirs))
        assert left.equals(right)
    shutil.rmtree(ours)
    shutil.rmtree(theirs)
    return {
        "copy": asdict(copied) | {"peak_mb": copied_peak},
        "ingest": asdict(ingested) | {"peak_mb": ingested_peak},
    }


def _show(found: dict[str, Any]) -> None:
    size = found["source_bytes"] / 1e6
    print(
        f"{found['rows']:,} rows of {found['subjects']:,} people, {size:,.0f} MB of Parquet, "
        f"into {found['shards']:,} shards; {len(found['runs'])} runs by turns, least / median"
    )
    heading = ("", "s", "MB/s", "CPU s", "peak MB")
    print("{:8} {:>15} {:>15} {:>15} {:>15}".format(*heading))
    sides = {side: _columns(found, side) for side in ("copy", "ingest")}
    for side, (seconds, cpu, peak) in sides.items():
        speed = spread([size / each for each in seconds])
        cells = (spread(seconds), speed, spread(cpu), spread(peak, 0))
        print("{:8} {:>15} {:>15} {:>15} {:>15}".format(side, *cells))
    clock, cpu = (ratios(sides["ingest"][at], sides["copy"][at]) for at in (0, 1))
    print(f"ingest / copy: {spread(clock, 2)} of the clock, {spread(cpu, 2)} of CPU; limit {LIMIT}")


def _columns(found: dict[str, Any], side: str) -> tuple[list[float], ...]:
    names = ("seconds", "cpu", "peak_mb")
    return tuple([run[side][name] for run in found["runs"]] for name in names)


if __name__ == "__main__":
    main()
