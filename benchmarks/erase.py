"""What erasing ten people of a million costs beside reading and rewriting everything.

    .venv/bin/python -m benchmarks.erase [--rows 10000000] [--folder DIR] [--json FILE]

Ours is a batch of `expunge run` over a dataset without a model, in one warm process: claim, stage
(rewrite aside, seal the rows), validate (both sides read again and compared, Great Expectations),
publish (DVC's cache, push to a folder remote, git commit and tag), each with its records in the
ledger. The report page, which waits for no erasure, is timed beside it. The rows were ingested by
`expunge ingest` from Parquet.

The baseline reads the same Parquet in batches, two files at a time, drops the people's rows, and
writes it anew with pyarrow; then `dvc add` with hard links, `dvc push` and `git commit`. It
validates nothing and keeps no record. Both run by turns, so that they share what else the machine
does; each erases other people each time. `--scaling` varies rows, people, S and k one by one.

10,000,000 rows need some 16 GB of disk, in a temporary folder that is removed at the end.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml
from dvc.repo import Repo

from benchmarks.measured import (
    Clock,
    Cost,
    alone,
    bytes_in,
    machine,
    own_process,
    peak_mb,
    ratios,
    spread,
    write_json,
)
from benchmarks.synthetic import people_spec, person_ids, write_people
from expunge.line import Stations, ingest, open_line, run_batch
from expunge.requests import Filing
from expunge.workspace import init_workspace, quiet_environment

DATASET, FEW = "people", "few"
TIMES_FASTER, BYTES_LIMIT, MEMORY_LIMIT_MB = 30.0, 1.1, 600.0
_PHASES = ("claim", "stage", "validate", "publish", "report")
_FEW = 4_000
_GROUP_ROWS = 1 << 16


def prepare(folder: Path, rows: int, subjects: int, shards: int, width: int) -> dict[str, Any]:
    """Source files, and a workspace that has ingested them, with a small dataset to warm up on."""
    write_people(folder / "source", rows=rows, subjects=subjects, width=width)
    write_people(folder / FEW, rows=_FEW, subjects=_FEW // 4, width=width)
    root = init_workspace(folder / "workspace").root
    for spec in [*root.glob("data/*.yaml"), *root.glob("models/*.yaml")]:
        spec.unlink()
    for name, count in ((DATASET, shards), (FEW, 8)):
        spec = people_spec(name, count, width).model_dump(mode="json", exclude_defaults=True)
        (root / "data" / f"{name}.yaml").write_text(yaml.safe_dump(spec))
    with open_line(root) as line:
        ingest(line, FEW, folder / FEW)
        with Clock() as clock:
            ingest(line, DATASET, folder / "source")
    return {"source_bytes": bytes_in(folder / "source"), "ingest": asdict(clock.cost)}


def erase(root: Path, dataset: str, people: Sequence[int]) -> dict[str, Any]:
    """One batch that erases these people, and what it cost."""
    with open_line(root) as line:
        before = _sizes(root, dataset)
        now, ids = datetime.now(UTC), person_ids(people).to_pylist()
        filings = [Filing("portal", f"{who} at {now}", who, "gdpr", now, (dataset,)) for who in ids]
        list(line.ledger.file(filings))
        phases: dict[str, Cost] = {}
        stations = replace(Stations(), **{name: partial(_timed, name, phases) for name in _PHASES})
        written = psutil.Process().io_counters().write_bytes
        with Clock() as clock:
            report = run_batch(line, dataset, stations)
        written = psutil.Process().io_counters().write_bytes - written
        assert report is not None
        staged = line.found(report.batch_id, "stage")
    after = _sizes(root, dataset)
    names = [name for name in staged["files"] if name.startswith("shard-")]
    return {
        "seconds": clock.cost.seconds - phases["report"].seconds,
        "cpu": clock.cost.cpu - phases["report"].cpu,
        "phases": {name: asdict(cost) for name, cost in phases.items()},
        "rows_erased": staged["rows_erased"],
        "shards_held": staged["shards_total"],
        "shards_touched": len(staged["touched"]),
        "bytes_touched": sum(before["data"][name] for name in names),
        "bytes_all": sum(before["data"].values()),
        "bytes_rewritten": sum(after["data"][name] for name in staged["files"]),
        "bytes_cache": _gained(before["cache"], after["cache"]),
        "bytes_remote": _gained(before["remote"], after["remote"]),
        "bytes_process": written,
    }


def _timed(name: str, phases: dict[str, Cost], *arguments: Any) -> Any:
    with Clock() as clock:
        found = getattr(Stations(), name)(*arguments)
    phases[name] = clock.cost
    return found


def _sizes(root: Path, dataset: str) -> dict[str, dict[str, int]]:
    folders = {
        "data": root / "data" / dataset,
        "cache": root / ".dvc" / "cache",
        "remote": root / ".expunge" / "remote",
    }
    return {
        name: {
            path.relative_to(folder).as_posix(): path.stat().st_size
            for path in folder.rglob("*")
            if path.is_file()
        }
        for name, folder in folders.items()
    }


def _gained(before: dict[str, int], after: dict[str, int]) -> int:
    return sum(size for name, size in after.items() if name not in before)


def rewrite(folder: Path, source: Path, people: Sequence[int]) -> dict[str, Any]:
    """The baseline: everything read, filtered, written, added, pushed and committed."""
    with _baseline_repo(folder) as root:
        claimed = person_ids(people)
        with Clock() as clock:
            (root / "rows").mkdir()
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                files = sorted(source.iterdir())
                list(pool.map(lambda file: _without(claimed, file, root / "rows"), files))
            with Clock() as publishing:
                _add_and_push(root)
        size = bytes_in(root / "rows")
    phases = {"publish": asdict(publishing.cost)}
    return asdict(clock.cost) | {"phases": phases, "bytes_rewritten": size}


@contextmanager
def _baseline_repo(folder: Path) -> Iterator[Path]:
    root = folder / "baseline"
    root.mkdir()
    _git(root, "init", "-q", "-b", "main")
    dvc = Repo.init(str(root))
    with dvc.config.edit("repo") as config:
        config["cache"] = {"type": "hardlink,copy"}
        config["core"] = {"analytics": "false", "autostage": "true", "remote": "store"}
        config["remote"] = {"store": {"url": str(root / ".store")}}
    dvc.close()
    _git(root, "commit", "-q", "-a", "-m", "Begin")
    try:
        yield root
    finally:
        shutil.rmtree(root)


def _without(claimed: pa.Array, file: Path, target: Path) -> None:
    with pq.ParquetFile(file, memory_map=True) as opened:
        writer = pq.ParquetWriter(target / file.name, opened.schema_arrow, use_dictionary=["label"])
        with writer:
            for batch in opened.iter_batches(batch_size=_GROUP_ROWS):
                gone = pc.is_in(batch["subject_id"], value_set=claimed)
                kept = batch.filter(pc.invert(gone)) if pc.any(gone).as_py() else batch
                writer.write_batch(kept, row_group_size=_GROUP_ROWS)


def _add_and_push(root: Path) -> None:
    with Repo(str(root)) as repo:
        repo.add([str(root / "rows")])
        repo.push()
    _git(root, "commit", "-q", "-m", "Erase")


def _git(root: Path, *words: str) -> None:
    who = ["-c", "user.name=bench", "-c", "user.email=bench@localhost"]
    subprocess.run(["git", *who, *words], cwd=root, check=True)


def compare(folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """Both sides by turns, each in a warm process of its own."""
    root, source = folder / "workspace", folder / "source"
    drawn = np.random.default_rng(asked.seed).permutation(asked.subjects)
    few = np.random.default_rng(asked.seed).permutation(_FEW // 4).reshape(-1, 10).tolist()
    runs: dict[str, list[dict[str, Any]]] = {"erase": [], "rewrite": []}
    with own_process() as ours, own_process() as theirs:
        for number in range(2):
            ours.submit(erase, root, FEW, few[number]).result()
            theirs.submit(rewrite, folder, folder / FEW, few[number]).result()
        for number in range(asked.times):
            people = drawn[number * asked.people : (number + 1) * asked.people].tolist()
            runs["erase"].append(ours.submit(erase, root, DATASET, people).result())
            runs["rewrite"].append(theirs.submit(rewrite, folder, source, people).result())
            sys.stderr.write(f"run {number + 1} of {asked.times}\n")
        peaks = {"erase": ours.submit(peak_mb), "rewrite": theirs.submit(peak_mb)}
        return {**runs, "peak_mb": {side: peak.result() for side, peak in peaks.items()}}


def scaling(folder: Path, base: dict[str, int]) -> list[dict[str, Any]]:
    """One thing varied at a time around a small base."""
    subjects, rows, shards = base["subjects"], base["rows"], base["shards"]
    varied = [
        *({"people": k} for k in (1, 10, 100, 500)),
        *({"rows": rows * factor} for factor in (2, 4)),
        *({"subjects": n} for n in (subjects // 10, subjects * 4)),
        *({"shards": n} for n in (shards // 4, shards * 4)),
    ]
    found: dict[tuple[int, ...], Path] = {}
    waiting: dict[tuple[int, ...], list[int]] = {}
    table = []
    for number, change in enumerate(varied):
        one = base | change
        made = tuple(one[name] for name in ("rows", "subjects", "shards", "width"))
        if made not in found:
            found[made] = folder / f"scale-{number}"
            prepare(found[made], *made)
            erase(found[made] / "workspace", FEW, list(range(10)))
            waiting[made] = np.random.default_rng(number).permutation(one["subjects"]).tolist()
        drawn = [waiting[made].pop() for _ in range(one["people"])]
        cost = erase(found[made] / "workspace", DATASET, drawn)
        table.append({"varied": next(iter(change)), **one, **cost})
        sys.stderr.write(f"scaling {number + 1} of {len(varied)}\n")
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw and ingest the rows, run both by turns, compare."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--subjects", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--shards", type=int, default=1_024)
    parser.add_argument("--people", type=int, default=10, help="k, the people erased at once")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scaling", action="store_true", help="this instead, at smaller sizes")
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder is made")
    parser.add_argument("--made", type=Path, help="keep what is made here, or use what is here")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args(arguments)
    quiet_environment()
    found: dict[str, Any] = {"machine": machine()}
    with TemporaryDirectory(dir=asked.folder, prefix="expunge-") as temporary:
        if asked.scaling:
            base = {"rows": 20_000, "subjects": 2_000, "shards": 256, "people": 10, "width": 64}
            found["scaling"] = scaling(Path(temporary), base)
            _show_scaling(found["scaling"])
        else:
            folder = asked.made or Path(temporary)
            sizes = (asked.rows, asked.subjects, asked.shards, asked.width)
            if not (folder / "workspace").exists():
                found |= alone(prepare, folder, *sizes)[0]
            found |= {"rows": asked.rows, "subjects": asked.subjects, "people": asked.people}
            found |= compare(folder, asked)
            _show(found)
    write_json(asked.json, found)


def _show(found: dict[str, Any]) -> None:
    ours, theirs = found["erase"], found["rewrite"]
    print(
        f"{found['people']} of {found['subjects']:,} people out of {found['rows']:,} rows, "
        f"{ours[0]['bytes_all'] / 1e9:.2f} GB in {ours[0]['shards_held']:,} shards; "
        f"{len(ours)} runs by turns, least / median"
    )
    print("{:34} {:>15} {:>15}".format("", "seconds", "CPU seconds"))
    _line("rewrite everything", theirs)
    _line("  of it DVC and git", [run["phases"]["publish"] for run in theirs])
    _line("erase", ours)
    for name in _PHASES[:-1]:
        _line(f"  {name}", [run["phases"][name] for run in ours])
    _line("report, not counted", [run["phases"]["report"] for run in ours])
    for name, unit in (("seconds", "clock"), ("cpu", "CPU")):
        faster = ratios([run[name] for run in theirs], [run[name] for run in ours])
        print(f"{spread(faster)} x faster by the {unit}; wanted {TIMES_FASTER:.0f}")
    share = [run["bytes_touched"] / run["bytes_all"] for run in ours]
    print(
        f"shards touched hold {spread([100 * each for each in share], 2)} % of the bytes, so that"
    )
    print(f"the least that any rewrite of shards costs is 1 / {1 / max(share):.0f} of everything")
    touched = [run["bytes_touched"] for run in ours]
    for name in ("rewritten", "cache", "remote", "process"):
        over = ratios([run[f"bytes_{name}"] for run in ours], touched)
        print(f"bytes, {name:10} {spread(over, 3)} x the touched shards'; wanted {BYTES_LIMIT}")
    peak = found["peak_mb"]["erase"]
    print(f"peak memory of the erasing process {peak:.0f} MB; wanted {MEMORY_LIMIT_MB:.0f}")


def _line(name: str, runs: Sequence[dict[str, Any]]) -> None:
    cells = (spread([run[unit] for run in runs], 2) for unit in ("seconds", "cpu"))
    print("{:34} {:>15} {:>15}".format(name, *cells))


def formula(shards: int, people: int) -> float:
    """Expected share of shards that k subjects lie in: 1 − (1 − 1/S)^k."""
    return 1 - (1 - 1 / shards) ** people


def _show_scaling(table: Sequence[dict[str, Any]]) -> None:
    columns: dict[str, Callable[[dict[str, Any]], str]] = {
        "varied": lambda run: run["varied"],
        "rows": lambda run: f"{run['rows']:,}",
        "people": lambda run: f"{run['subjects']:,}",
        "S": lambda run: str(run["shards"]),
        "k": lambda run: str(run["people"]),
        "touched": lambda run: str(run["shards_touched"]),
        "share": lambda run: f"{run['shards_touched'] / run['shards']:.1%}",
        "formula": lambda run: f"{formula(run['shards'], run['people']):.1%}",
        "bytes": lambda run: f"{run['bytes_rewritten'] / run['bytes_all']:.1%}",
        "seconds": lambda run: f"{run['seconds']:.2f}",
        "CPU s": lambda run: f"{run['cpu']:.2f}",
    }
    print(" ".join(f"{name:>9}" for name in columns))
    for run in table:
        print(" ".join(f"{cell(run):>9}" for cell in columns.values()))


if __name__ == "__main__":
    main()
