"""Run the line in a real process and kill that process at a chosen moment.

A moment is the start or the end of a ledger write, or of an effect outside the database. The
processes fork from a server that has imported everything, so a case costs no imports.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import dvc.repo  # noqa: F401 - imported once, in the fork server
import great_expectations  # noqa: F401
import matplotlib.backends.backend_agg  # noqa: F401
import mlflow.pytorch
import mlflow.store.tracking.sqlalchemy_store  # noqa: F401
import torch
import torch.export._trace

import expunge.evaluation.spdgan
import expunge.line.promote
import expunge.line.publish
import expunge.line.stage
import expunge.line.unlearn
import expunge.requests.batches
from expunge.errors import ExpungeError
from expunge.line import Line, open_line, run_batch
from expunge.lineage import Registry
from expunge.lineage.batch_runs import BatchRuns
from expunge.requests import Ledger

DATASET = "small"
WRITES = (
    "claim",
    "dispose",
    "conclude",
    "intend",
    "complete",
    "record_erasure",
    "record_derived",
    "invalidate_derived",
    "record_model",
    "record_promotion",
    "ask_approval",
    "close_approval",
    "settle",
    "finish",
)
EFFECTS = (
    (expunge.line.stage, "seal_rows"),
    (expunge.line.stage, "stage_erasure"),
    (expunge.line.publish, "publish_files"),
    (expunge.line.unlearn, "_work"),
    (Registry, "register"),
    (Registry, "promote"),
    (BatchRuns, "log_run"),
)
_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(["tests.line.kill"])


class Watch:
    """Writes down every moment, and sends this process a signal at the chosen one."""

    def __init__(self, trace: Path, at: str | None, sent: signal.Signals) -> None:
        self.trace, self.at, self.sent = trace, at, sent
        self.seen: dict[str, int] = {}

    def moment(self, name: str) -> None:
        self.seen[name] = self.seen.get(name, 0) + 1
        numbered = f"{name} {self.seen[name]}"
        with self.trace.open("a") as file:
            file.write(f"{numbered}\n")
        if numbered == self.at:
            os.kill(os.getpid(), self.sent)

    def around(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def watched(*args: Any, **kwargs: Any) -> Any:
            label = f"{name}:{_which(args, kwargs)}" if name in ("conclude", "intend") else name
            self.moment(f"before {label}")
            result = call(*args, **kwargs)
            self.moment(f"after {label}")
            return result

        return watched


def _which(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """Station of a conclude, kind of an intent: what tells one call from another."""
    texts = [str(arg) for arg in args if isinstance(arg, str)]
    return texts[1] if len(texts) > 1 else "?"


def in_process(
    root: Path, trace: Path, *, at: str | None = None, sent: signal.Signals = signal.SIGKILL
) -> int:
    """Run one batch in a process of its own; its exit code (−9 when it was killed)."""
    child = started(root, trace, at=at, sent=sent)
    child.join()
    assert child.exitcode is not None
    return child.exitcode


def started(
    root: Path, trace: Path, *, at: str | None = None, sent: signal.Signals = signal.SIGKILL
) -> BaseProcess:
    """A process that runs one batch, and is sent a signal at a moment."""
    child = _server.Process(target=_run, args=(root, trace, at, sent))
    child.start()
    return child


def _run(root: Path, trace: Path, at: str | None, sent: signal.Signals) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    torch.set_num_threads(1)
    with watched(Watch(trace, at, sent)), open_line(root) as line:
        try:
            run_batch(line, DATASET)
        except ExpungeError as error:
            with trace.open("a") as file:
                file.write(f"{type(error).__name__}: {error.what}\n")
            raise


@contextmanager
def watched(watch: Watch) -> Iterator[None]:
    """Let `watch` see every ledger write and effect of this process; batch ids are the same."""
    fixed = SimpleNamespace(token_hex=lambda size: "0" * 2 * size)
    with ExitStack() as stack:
        for name in WRITES:
            stack.enter_context(
                patch.object(Ledger, name, watch.around(name, getattr(Ledger, name)))
            )
        for owner, name in EFFECTS:
            stack.enter_context(patch.object(owner, name, watch.around(name, getattr(owner, name))))
        stack.enter_context(patch.object(expunge.requests.batches, "secrets", fixed))
        yield


def fingerprint(root: Path, into: Path) -> str:
    """Everything that an undisturbed run and a killed and resumed one must agree on, as text.

    Read in a process of its own, since this one may hold connections to databases that were
    replaced since.
    """
    child = _server.Process(target=_fingerprint, args=(root, into))
    child.start()
    child.join()
    assert child.exitcode == 0
    return into.read_text()


def _fingerprint(root: Path, into: Path) -> None:
    with open_line(root) as line:
        found = {
            "requests": _requests(line),
            "batches": [(batch.id, batch.state) for batch in line.ledger.batches()],
            "versions": [
                (v.ordinal, v.md5, v.kind, v.rows, v.ingest) for v in line.ledger.versions(DATASET)
            ],
            "git": _git(root, "log", "--format=%s%n%(trailers:key=Expunge-Effect)"),
            "tags": _git(root, "tag", "--list"),
            "dirty": _git(root, "status", "--porcelain"),
            "models": _models(line),
            "mlflow": _mlflow(line),
            "shards": _digests(root / "data" / DATASET),
            "remote": sorted(
                str(path.relative_to(root)) for path in (root / ".expunge/remote").rglob("*.dir")
            ),
            "left": {
                name: sorted(path.name for path in (root / ".expunge" / name).glob("*"))
                for name in ("staging", "jobs", "sealed", "derived")
            },
            "effects": _effects(line),
        }
    into.write_text(json.dumps(found, indent=1, sort_keys=True, default=str))


def _requests(line: Line) -> dict[str, Any]:
    return {
        request.external_id: (
            request.state,
            [
                (t.state, t.rows, [(s.model, s.state, s.version) for s in t.settlements])
                for t in request.targets
            ],
        )
        for request in line.ledger.requests()
    }


def _models(line: Line) -> list[tuple[Any, ...]]:
    known = line.ledger.model_versions("small-mlp")
    champion = line.ledger.champion("small-mlp")
    assert champion is not None
    assert line.registry.champion("small-mlp") == champion.version
    return [(v.version, v.kind, v.strategy, v.parent, v.clean_as_of, v.edits) for v in known]


def _mlflow(line: Line) -> list[tuple[str, str, str]]:
    """Versions and live runs, with the digest of the champion's weights."""
    client = line.registry.client
    versions = client.search_model_versions("name = 'small-mlp'")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = [("run", run.info.status, "") for run in client.search_runs(experiments)]
    found = [("version", version.version, _weights(line, version.version)) for version in versions]
    return sorted(runs + found)


def _weights(line: Line, version: str) -> str:
    path = line.registry.fetch_weights("small-mlp", version, line.workspace.state("test-weights"))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _effects(line: Line) -> list[tuple[str, str]]:
    """Effects intended by the batch, each with its state, by the append-only history."""
    kinds = ("intended", "done")
    return sorted(
        (event.kind, event.payload["key"])
        for event in line.ledger.events(dataset=DATASET)
        if event.kind in kinds and event.batch_id
    )


def _digests(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
    }


def _git(root: Path, *words: str) -> list[str]:
    command = ["git", "-C", str(root), *words]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    return found.stdout.split("\n")
