"""The main job through a fresh stack, by schedule: the demo's people on real servers.

Every step is a command as an operator or a data team gives it, but for the made-up writers. Files
that come from outside hold subject ids: they are removed as soon as they are taken in.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console

from deploy.stack import control, provision
from deploy.stack.place import Place
from deploy.stack.prefect_api import PrefectApi
from deploy.stack.topology import base, client
from expunge.cli.demo.place import DATASET, placement_key
from expunge.cli.demo.requests import Pile, choose, write_pile
from expunge.cli.demo.story import MODEL
from expunge.cli.demo.writers import WRITERS, subject_of, write_parquet
from expunge.errors import TransientError

DEPLOYMENT = "deletion-batches/nightly"
RUN_SECONDS = 600.0
_NOTICE = timedelta(seconds=15)  # what a schedule needs to become a run in time


@dataclass(frozen=True)
class Ran:
    """What the trial did; `run` is Prefect's record of the scheduled run."""

    place: Place
    accepted: int
    run: dict[str, Any]
    status: dict[str, Any]
    seconds: dict[str, float]


@dataclass
class Trial:
    """One run through a stack at `place`; `seconds` is the time of each step so far."""

    place: Place
    console: Console
    seconds: dict[str, float] = field(default_factory=dict)

    def tell(self) -> Ran:
        """From nothing to the first batch promoted by schedule."""
        with self._step("start the stack"):
            control.start(self.place, self.console.print)
        with self._step("ingest"):
            self._ingest()
        with self._step("train"):
            self._expunge("train", MODEL)
        with self._step("file the requests"):
            accepted = self._file()
        with self._step("wait for the schedule"):
            api, known = PrefectApi(self.place), set[str]()
            known = {run["id"] for run in api.runs(DEPLOYMENT)}
            self._schedule()
            run = self._until_begun(api, known)
        with self._step("the scheduled run"):
            run = self._until_ended(api, run["id"])
        status = json.loads(self._expunge("status", "--json"))
        return Ran(self.place, accepted, run, status, self.seconds)

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - began
        self.console.print(f"{name}: {self.seconds[name]:.0f} s")

    def _ingest(self) -> None:
        """The demo's writers, with the demo's placement: only made-up people allow a known key."""
        keys = self.place.workspace / ".expunge" / "keys"
        key = keys / f"placement-{DATASET}.key"
        key.touch(mode=0o600)
        key.write_bytes(placement_key())
        with self._arrivals() as folder:
            write_parquet(folder / "writers.parquet", range(WRITERS))
            self._expunge("ingest", DATASET, "--from", str(folder / "writers.parquet"))

    def _file(self) -> int:
        """Two files of requests; how many were accepted."""
        with self._arrivals() as folder:
            pile: Pile = write_pile(folder, choose(self._roles()))
            for arrival in pile.files:
                words = ("--source", arrival.source, "--regulation", arrival.regulation)
                self._expunge("request", "import", str(arrival.path), *words, accept=(0, 1))
            return sum(arrival.accepted for arrival in pile.files)

    def _roles(self) -> dict[str, str]:
        from expunge.dataset.placement import ROLES, Placement
        from expunge.workspace import Workspace

        spec = Workspace.open(self.place.workspace).dataset(DATASET)
        placement = Placement(placement_key(), shards=spec.shards, shares=spec.roles)
        subjects = [subject_of(writer) for writer in range(WRITERS)]
        return dict(
            zip(subjects, (ROLES[role] for role in placement.place(subjects).role), strict=True)
        )

    def _schedule(self) -> None:
        """A second schedule, daily at the next whole minute."""
        at = (datetime.now(UTC) + _NOTICE + timedelta(minutes=1)).replace(second=0, microsecond=0)
        cron = f"{at.minute} {at.hour} * * *"
        words = ("deployment", "schedule", "create", DEPLOYMENT, "--timezone", "UTC")
        provision.prefect(self.place, "--no-prompt", *words, "--cron", cron)
        self.console.print(f"scheduled: {cron}")

    def _until_begun(self, api: PrefectApi, known: set[str]) -> dict[str, Any]:
        def begun() -> dict[str, Any] | None:
            new = [run for run in api.runs(DEPLOYMENT) if run["id"] not in known]
            return next((run for run in new if run["start_time"]), None)

        return self._until(begun, "No scheduled run began")

    def _until_ended(self, api: PrefectApi, name: str) -> dict[str, Any]:
        def ended() -> dict[str, Any] | None:
            run = api.run(name)
            return run if run["end_time"] else None

        return self._until(ended, "The scheduled run did not end")

    def _until(self, found: Any, what: str) -> dict[str, Any]:
        deadline = time.monotonic() + RUN_SECONDS
        while (run := found()) is None:
            if time.monotonic() > deadline:
                raise TransientError(
                    f"{what} within {RUN_SECONDS:.0f} s.",
                    left="The stack still runs.",
                    fix=f"read {self.place.logs / 'worker-cpu.log'}",
                )
            time.sleep(0.5)
        done: dict[str, Any] = run
        return done

    def _expunge(self, *words: str, accept: tuple[int, ...] = (0,)) -> str:
        """One `expunge` command, in the environment that `stack/env` gives; what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "expunge.cli", *words, "--quiet"],
            env={**base(self.place), **client(self.place)},
            cwd=self.place.workspace,
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode not in accept:
            raise TransientError(
                f"`expunge {' '.join(words[:2])}` ended with {done.returncode}: {done.stderr}",
                left="The stack still runs.",
                fix="read above",
            )
        return done.stdout

    @contextmanager
    def _arrivals(self) -> Iterator[Path]:
        folder = self.place.root / "arrivals"
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder)
