"""Trials: a strategy unlearns a mock request on a copy of the champion, in the worker process."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from expunge.dataset import ArrowRows
from expunge.errors import ExpungeError, TerminalError, TransientError
from expunge.evaluation import Scores, reference_margin, sample_rows
from expunge.line.attempt import seed_of
from expunge.line.bench import Bench
from expunge.line.mock import Mock
from expunge.line.unlearn import run_worker
from expunge.networks import device_of
from expunge.worker import JOB, WEIGHTS, Job

if TYPE_CHECKING:
    from expunge.evaluation.scores import Floats


_MOCK = "mock.npy"
Report = Callable[[str, float], None]
"""Where a trial says what it is doing, and which share of it is done."""


@dataclass(frozen=True)
class Tested:
    """Scores of one model on the rows of a mock request, on retained and on held-out rows."""

    forget: Scores
    retain: Scores
    held_out: Scores


@dataclass(frozen=True)
class Made:
    """What a trial made: weights and scores, or why training diverged; cost and seconds."""

    weights: Path
    tested: Tested | None
    diverged: str | None
    cost: float
    seconds: float

    def discard(self) -> None:
        """Remove the weights; the scores stay."""
        shutil.rmtree(self.weights.parent, ignore_errors=True)


@dataclass(frozen=True)
class Ground:
    """One mock request, laid out: its rows, a sample of the retained ones, the champion on both."""

    bench: Bench
    mock: Mock
    forget: ArrowRows
    retain: ArrowRows
    champion: Tested
    margin: Floats

    @classmethod
    def lay(cls, bench: Bench, mock: Mock) -> Ground:
        """Write down the positions for the worker and score the champion."""
        folder = bench.folder / f"{mock.kind}-{mock.draw}"
        folder.mkdir()
        np.save(folder / _MOCK, mock.forget)
        rest = np.setdiff1d(np.arange(len(bench.training)), mock.forget, assume_unique=True)
        sample = sample_rows(len(rest), seed=bench.seed(mock.kind, mock.draw))
        forget, retain = bench.training.select(mock.forget), bench.training.select(rest[sample])
        with bench.slot():
            on_forget, on_retain = bench.scored(bench.champion_weights, forget, retain)
            margin = reference_margin(bench.peers, forget, device=device_of(bench.spec))
            champion = Tested(on_forget, on_retain, bench.champion_held_out)
        return cls(bench, mock, forget, retain, champion, margin)

    @property
    def folder(self) -> Path:
        """Folder of the mock request."""
        return self.bench.folder / f"{self.mock.kind}-{self.mock.draw}"

    @property
    def seed(self) -> int:
        """Seed of this draw."""
        return self.bench.seed(self.mock.kind, self.mock.draw)

    def make(
        self,
        name: str,
        report: Report,
        *,
        rung: int,
        base: Path | None = None,
        reference: int | None = None,
    ) -> Made:
        """Unlearn the mock request by a rung, from the champion or from other weights `base`.

        With `reference`, a number that sets its seed apart, train the exact retrain instead. The
        weights stay until `discard`.
        """
        folder = self.folder / name
        folder.mkdir()
        job = self._job(rung, base or self.bench.champion_weights, reference)
        (folder / JOB).write_text(json.dumps(asdict(job)))
        self.bench.check()
        with self.bench.slot():
            result = self._work(folder, report)
            if result["diverged"]:
                return Made(folder / WEIGHTS, None, result["diverged"], 0.0, 0.0)
            splits = self.forget, self.retain, self.bench.held_out
            tested = Tested(*self.bench.scored(folder / WEIGHTS, *splits))
        cost, seconds = float(result["edit"]["cost"]), float(result["work_seconds"])
        return Made(folder / WEIGHTS, tested, None, cost, seconds)

    def _job(self, rung: int, base: Path, reference: int | None) -> Job:
        return Job(
            workspace=str(self.bench.line.workspace.root),
            model=self.bench.spec.name,
            rung=rung,
            base_weights=str(base),
            forget=(),
            ingest_seen=self.bench.champion.ingest_seen,
            retain=str(self.bench.training.path),
            seed=self.seed if reference is None else seed_of(f"{self.seed}/{reference}"),
            mock=str(self.folder / _MOCK),
            reference=reference is not None,
        )

    def _work(self, folder: Path, report: Report) -> dict[str, Any]:
        def told(
            station: str, text: str, done: float | None = None, total: float | None = None
        ) -> None:
            report(text, done / total if done is not None and total else 0.0)

        try:
            return run_worker(replace(self.bench.line, progress=told), folder)
        except ExpungeError as error:
            kind = TransientError if isinstance(error, TransientError) else TerminalError
            raise kind(
                error.what,
                left="Dataset and champion are as they were; records made until then are kept.",
                fix=f"mend that, then `expunge audit {self.bench.spec.name}` again",
            ) from error
