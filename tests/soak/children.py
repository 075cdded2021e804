"""`expunge ...` in real processes: forked from one that has imported everything, or started anew.

A forked one costs no imports, so that a round is quick; it is a process like any other, with its
own session, output and exit status, and is killed like one.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psutil

PRELOADED = "tests.soak.preload"
_server = multiprocessing.get_context("forkserver")


@dataclass
class Child:
    """A running `expunge` command."""

    words: tuple[str, ...]
    output: Path
    process: BaseProcess | subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        """Process id."""
        assert self.process.pid is not None
        return self.process.pid

    @property
    def status(self) -> int | None:
        """Exit status, negative for a signal; None while it runs."""
        if isinstance(self.process, subprocess.Popen):
            return self.process.poll()
        return self.process.exitcode

    @property
    def said(self) -> str:
        """What it wrote so far."""
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    def below(self) -> list[psutil.Process]:
        """Live processes that it started."""
        with suppress(psutil.NoSuchProcess):
            return list(psutil.Process(self.pid).children(recursive=True))
        return []

    def send(self, what: signal.Signals) -> None:
        """A signal to the process itself."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, what)

    def wait(self, seconds: float) -> int:
        """Exit status; an error where it does not end in time."""
        deadline = time.monotonic() + seconds
        while (status := self.status) is None:
            if time.monotonic() > deadline:
                self.send(signal.SIGKILL)
                raise AssertionError(f"{self.words} hangs after:\n{self.said[-2000:]}")
            time.sleep(0.05)
        return status

    def reaches(self, pattern: str, seconds: float) -> bool:
        """Whether it says what `pattern` matches before it ends."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if re.search(pattern, self.said, re.MULTILINE):
                return True
            if self.status is not None:
                return False
            time.sleep(0.02)
        return False


def prepare(environment: Mapping[str, str]) -> None:
    """Start the process that the others fork from; it reads `environment` once."""
    os.environ.update(environment)
    _server.set_forkserver_preload([PRELOADED])


def forked(root: Path, output: Path, *words: str, **more: str) -> Child:
    """A command of `expunge` or `prefect` in a process forked from the prepared one.

    `SOAK_FILE_LIMIT` in `more`: no file that it writes may get larger than so many bytes.
    """
    child = _server.Process(target=_main, args=(root, output, words, {**os.environ, **more}))
    child.start()
    return Child(words, output, child)


def started(root: Path, output: Path, *words: str, **more: str) -> Child:
    """A command of `expunge` in a process of its own making."""
    command = [sys.executable, "-m", "expunge.cli", *words[1:]]
    with output.open("wb") as log:
        process = subprocess.Popen(
            command, cwd=root, env={**os.environ, **more}, stdout=log, stderr=log
        )
    return Child(words, output, process)


def _main(root: Path, output: Path, words: tuple[str, ...], environment: dict[str, str]) -> Any:
    log = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    os.dup2(log, sys.stdout.fileno())
    os.dup2(log, sys.stderr.fileno())
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(root)
    limit = int(environment.get("SOAK_FILE_LIMIT", "0"))
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    sys.argv = list(words)
    import tempfile

    import torch

    import flows.local

    tempfile.tempdir = None
    torch.set_num_threads(1)
    from prefect.context import refresh_global_settings_context

    refresh_global_settings_context()
    if "PREFECT_API_URL" not in environment:
        flows.local.run_deletion_batch = _bare
    if words[0] == "prefect":
        from prefect.cli import app

        app()
    from expunge.cli import main

    main()


def _bare(root: Path, dataset: str, progress: Any) -> Any:
    """The stations one after the other without Prefect: what a site without its server does."""
    from expunge.line import open_line, run_batch

    with open_line(root, progress=progress) as line:
        return run_batch(line, dataset)
