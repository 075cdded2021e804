"""Unlearn: run one rung of the ladder in a process of its own.

The worker gets a job file and hands back weights and a result manifest, written last and
atomically: a worker that dies leaves nothing that counts. When this process dies, the worker
sees its standard input close and stops.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from expunge.errors import TerminalError, TransientError
from expunge.line.attempt import Attempt, base_of, forgotten_batches, seed_of
from expunge.line.context import Line
from expunge.requests import Fence
from expunge.worker import JOB, RESULT, WEIGHTS, Job


def unlearn(line: Line, batch_id: str, fence: Fence, attempt: Attempt) -> None:
    """Make the candidate of this attempt; a diverged or failed one is an outcome as well."""
    with line.station(batch_id, "unlearn", fence, attempt.part) as outcome:
        if outcome is None:
            return
        strategy = attempt.strategy(line)
        line.progress("unlearn", f"{attempt.model}: {strategy}")
        folder = work_folder(line, fence, attempt)
        (folder / RESULT).unlink(missing_ok=True)
        (folder / JOB).write_text(json.dumps(asdict(_job(line, attempt))))
        result = _work(line, folder)
        line.ledger.check(fence)
        if result["diverged"] is None:
            (folder / WEIGHTS).replace(attempt.folder(line) / WEIGHTS)
        outcome |= {"strategy": strategy, **result}


def work_folder(line: Line, fence: Fence, attempt: Attempt) -> Path:
    """Where the worker of this holder writes; one of a holder that lost the lock may still do so
    to another.
    """
    folder = attempt.folder(line) / f"by-{fence.token}"
    folder.mkdir(exist_ok=True)
    return folder


def _job(line: Line, attempt: Attempt) -> Job:
    spec = attempt.spec(line)
    dataset = line.workspace.dataset(spec.dataset)
    base = base_of(line, attempt.model, attempt.base)
    return Job(
        workspace=str(line.workspace.root),
        model=attempt.model,
        rung=attempt.rung,
        base_weights=str(base_weights(line, attempt)),
        forget=forgotten_batches(line, base),
        ingest_seen=base.ingest_seen,
        retain=str(line.scratch(dataset, "T")),
        seed=seed_of(attempt.batch_id),
    )


def base_weights(line: Line, attempt: Attempt) -> Path:
    """The champion's weights, fetched once per batch."""
    folder = attempt.folder(line).parent / "base"
    if not (folder / WEIGHTS).exists():
        aside = folder.with_name("base.part")
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        line.registry.fetch_weights(attempt.model, attempt.base, aside)
        shutil.rmtree(folder, ignore_errors=True)
        aside.rename(folder)
    return folder / WEIGHTS


def run_worker(line: Line, folder: Path) -> dict[str, Any]:
    """Do the job in `folder` in a process of its own; the manifest that it left."""
    return _work(line, folder)


def _work(line: Line, folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "expunge.worker", str(folder)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as worker:
        try:
            with _imports_ahead():
                tail = _follow(line, worker)
        except BaseException:
            worker.kill()
            raise
    if (folder / RESULT).exists():
        result: dict[str, Any] = json.loads((folder / RESULT).read_text())
        return result
    if worker.returncode == os.EX_TEMPFAIL:
        raise TransientError(
            f"The unlearning worker could not finish: {tail}",
            left="The dataset is erased; the champion is as it was.",
            fix="mend that, then `expunge run` goes on from here",
        )
    if worker.returncode > 0:
        raise TerminalError(
            f"The unlearning worker ended with status {worker.returncode}: {tail}",
            left="The dataset is erased; the champion is as it was.",
            fix="mend the model's spec or network, then `expunge run` goes on",
        )
    raise TransientError(
        f"The unlearning worker was killed (signal {-worker.returncode}).",
        left="The dataset is erased; the champion is as it was.",
        fix="`expunge run` goes on from here; if it was memory, use a larger machine",
    )


@contextmanager
def _imports_ahead() -> Iterator[None]:
    """Import what the next stations need, seconds of it, while this process only waits."""
    over = threading.Event()

    def run() -> None:
        for name in ("torch", "mlflow.pytorch", "matplotlib.figure", "torch.export._trace"):
            if not over.is_set():
                with suppress(ImportError):  # the station that needs it says so
                    import_module(name)

    ahead = threading.Thread(target=run, daemon=True)
    ahead.start()
    yield
    over.set()
    ahead.join()


def _follow(line: Line, worker: subprocess.Popen[str]) -> str:
    """Pass progress lines on; keep the last other line, the error if there is one."""
    tail = ""
    for text in worker.stdout or ():
        if text.startswith("@"):
            done, total, message = text[1:].rstrip("\n").split("\t")
            line.progress("unlearn", message, float(done), float(total))
        elif text.strip():
            tail = text.strip()
    worker.wait()
    return tail
