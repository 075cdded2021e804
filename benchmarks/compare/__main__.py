"""`python -m benchmarks.compare STEP DATASET`: what the stages of dvc.yaml run.

A dataset whose files are absent is a result as well: the report says what is missing and where
it would have to be.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml

from benchmarks.compare.sources import AbsentError

if TYPE_CHECKING:
    from benchmarks.compare.cell import Cell

BUILD = Path("build/bench")
FOUND = "ingest.json"
app = typer.Typer(no_args_is_help=True, pretty_exceptions_show_locals=False)
Dataset = Annotated[str, typer.Argument(metavar="DATASET")]


@dataclass(frozen=True)
class Params:
    """`bench` of params.yaml."""

    seeds: list[int]
    shadows: int
    workers: int
    requests: dict[str, list[str]]

    @classmethod
    def read(cls) -> Params:
        """From the working directory."""
        return cls(**yaml.safe_load(Path("params.yaml").read_text())["bench"])


@app.command()
def ingest(dataset: Dataset) -> None:
    """Bring the rows in, or write down why they are absent."""
    from benchmarks.compare import data

    folder = BUILD / dataset
    folder.mkdir(parents=True, exist_ok=True)
    try:
        data.ingest(dataset, folder)
        found: dict[str, Any] = {"absent": None}
    except AbsentError as error:
        found = {"absent": str(error)}
        typer.echo(f"{dataset}: skipped, {error}", err=True)
    (folder / FOUND).write_text(json.dumps(found) + "\n")


@app.command()
def shadows(dataset: Dataset) -> None:
    """Train the shadow models, on all cores."""
    params, folder = Params.read(), BUILD / dataset
    numbers = range(params.shadows) if _present(dataset) else []
    jobs = [(dataset, folder, number) for number in numbers]
    for done, number in enumerate(_in_processes("train_shadow", jobs, params.workers), 1):
        typer.echo(f"{dataset}: shadow {number}, {done} of {len(jobs)}", err=True)
    (folder / "shadows.json").write_text(json.dumps({"shadows": len(jobs)}) + "\n")


@app.command()
def compare(dataset: Dataset) -> None:
    """Measure every cell that has no result yet, on all cores."""
    params, folder = Params.read(), BUILD / dataset
    jobs = [(each,) for each in _cells(dataset, params)] if _present(dataset) else []
    files = []
    for file in _in_processes("run", jobs, params.workers):
        files.append(str(file))
        typer.echo(f"{file}: {len(files)} of {len(jobs)}", err=True)
    (folder / "cells.json").write_text(json.dumps(sorted(files), indent=1) + "\n")


@app.command()
def report() -> None:
    """Write docs/benchmarks.md, its figures and tables from the results that there are."""
    from benchmarks.compare.report import write_report
    from benchmarks.compare.tables import write_tables

    params = Params.read()
    results, absent = [], {}
    for dataset in params.requests:
        if not _present(dataset):
            absent[dataset] = json.loads((BUILD / dataset / FOUND).read_text())["absent"]
            continue
        files = [each.file for each in _cells(dataset, params)]
        results += [json.loads(file.read_text()) for file in files if file.exists()]
    write_report(results, absent, Path("docs"))
    write_tables(results, Path("docs"))


def _cells(dataset: str, params: Params) -> list[Cell]:
    from benchmarks.compare import cell, data

    folder = BUILD / dataset
    requests = [
        name
        for each in params.requests[dataset]
        for name in (data.speaker_pairs(folder) if each == "speaker" else [each])
    ]
    return [
        cell.Cell(dataset, request, seed, folder, params.shadows)
        for seed in params.seeds
        for request in requests
    ]


def _present(dataset: str) -> bool:
    return json.loads((BUILD / dataset / FOUND).read_text())["absent"] is None


def _in_processes(name: str, jobs: list[tuple[Any, ...]], workers: int) -> Iterable[Any]:
    """Results of a function of `cell` as they come.

    One thread each, so that processes do not fight for cores. Without jobs nothing is imported.
    """
    if not jobs:
        return
    from benchmarks.compare import cell

    os.environ["OMP_NUM_THREADS"] = "1"
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers or os.cpu_count(), mp_context=context) as pool:
        running = [pool.submit(getattr(cell, name), *job) for job in jobs]
        for each in as_completed(running):
            yield each.result()


if __name__ == "__main__":
    sys.exit(app())
