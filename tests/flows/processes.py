"""Run the flow in a real process, with its output in files, faults in it, or killed.

The processes fork from a server that has imported all but Prefect.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil

import expunge.line.claim
from expunge.errors import ExpungeError, TransientError
from expunge.lineage import ChampionMovedError
from tests.line.kill import DATASET, Watch, watched

_server = multiprocessing.get_context("forkserver")


@dataclass(frozen=True)
class Ran:
    """What a process with a flow in it did."""

    exitcode: int
    batch_id: str | None
    error: str | None
    attempts: int
    progress: list[str]
    output: str


@dataclass(frozen=True)
class Job:
    """A flow to run: where, with what environment, with which fault, killed at which moment."""

    root: Path
    folder: Path
    environment: dict[str, str]
    fault: str | None = None
    at: str | None = None


def environment(**more: str) -> dict[str, str]:
    """This process's own environment for Prefect and expunge, and `more`."""
    ours = {name: value for name, value in os.environ.items() if name.startswith("PREFECT_")}
    return {**ours, "EXPUNGE_TASK_RETRY_DELAYS": "[0.1]", **more}


def without_api() -> dict[str, str]:
    """The same with no Prefect API configured."""
    return {"EXPUNGE_TASK_RETRY_DELAYS": "[0.1]"}


def start(job: Job) -> BaseProcess:
    """Start a process for `job`."""
    job.folder.mkdir(exist_ok=True)
    child = _server.Process(target=_run, args=(job,))
    child.start()
    return child


def finish(child: BaseProcess, job: Job) -> Ran:
    """Wait for the process; what it did."""
    child.join()
    assert child.exitcode is not None
    result = job.folder / "result.json"
    found: dict[str, Any] = json.loads(result.read_text()) if result.exists() else {}
    return Ran(
        exitcode=child.exitcode,
        batch_id=found.get("batch_id"),
        error=found.get("error"),
        attempts=found.get("attempts", 0),
        progress=found.get("progress", []),
        output=(job.folder / "output").read_text(),
    )


def run(job: Job) -> Ran:
    """Run `job` in a process of its own."""
    return finish(start(job), job)


def processes_below(pid: int) -> list[psutil.Process]:
    """Live processes that `pid` started, directly or not."""
    try:
        found: list[psutil.Process] = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return found


def rows(home: Path, query: str) -> list[tuple[Any, ...]]:
    """Ask the database of the Prefect server at `home`."""
    database = sqlite3.connect(home / "prefect.db")
    try:
        found: list[tuple[Any, ...]] = database.execute(query).fetchall()
    finally:
        database.close()
    return found


def _run(job: Job) -> None:
    output = os.open(job.folder / "output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, sys.stdout.fileno())
    os.dup2(output, sys.stderr.fileno())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.environ.pop("PREFECT_API_URL", None)
    os.environ.update(job.environment)
    from flows.local import run_deletion_batch

    found: dict[str, Any] = {"progress": []}

    def note(
        station: str, text: str, done: float | None = None, total: float | None = None
    ) -> None:
        found["progress"].append(f"{station}: {text}")

    with (
        watched(Watch(job.folder / "trace", job.at, signal.SIGKILL)),
        _fault(job.fault) as attempts,
    ):
        try:
            report = run_deletion_batch(job.root, DATASET, note)
            found["batch_id"] = report.batch_id if report else None
        except ExpungeError as error:
            found["error"] = f"{type(error).__name__}: {error.what}"
    (job.folder / "result.json").write_text(json.dumps({**found, "attempts": len(attempts)}))


@contextmanager
def _fault(name: str | None) -> Iterator[list[int]]:
    """Let the claim fail as `name` says; the attempts that were made."""
    attempts: list[int] = []
    real = expunge.line.claim.claim

    def claim(*args: Any) -> Any:
        attempts.append(1)
        _FAULTS[name](len(attempts))
        return real(*args)

    with patch.object(expunge.line.claim, "claim", claim):
        yield attempts


def _none(attempt: int) -> None:
    pass


def _once(attempt: int) -> None:
    if attempt == 1:
        raise TransientError("The remote is away.", fix="wait")


def _always(attempt: int) -> None:
    raise TransientError("The remote is away for good.", fix="wait")


def _moved(attempt: int) -> None:
    raise ChampionMovedError("Someone promoted version 2.", fix="run again", found="2")


_FAULTS: dict[str | None, Callable[[int], None]] = {
    None: _none,
    "transient once": _once,
    "transient always": _always,
    "champion moved": _moved,
}
