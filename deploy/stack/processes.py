"""Processes that outlive the command which started them: start, look, stop, kill.

A record of each lies in the stack's `run` folder: process id and the moment it was created, since
the system gives ids anew.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from deploy.stack.place import Place
from expunge.errors import TransientError

STOP_SECONDS = 20.0


@dataclass(frozen=True)
class Service:
    """A process to run. `answers` says whether it does its work, `stop` is its polite signal."""

    name: str
    command: tuple[str, ...]
    answers: Callable[[], bool] = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)
    user: str | None = None
    stop: signal.Signals = signal.SIGTERM


def log_of(place: Place, name: str) -> Path:
    """What the process printed, over all its starts."""
    return place.logs / f"{name}.log"


def found(place: Place, name: str) -> psutil.Process | None:
    """The live process; None if it was never started, or is gone."""
    try:
        record = json.loads(_record(place, name).read_text())
        process = psutil.Process(record["pid"])
        if process.create_time() != record["created"]:
            return None
        return None if process.status() == psutil.STATUS_ZOMBIE else process
    except (FileNotFoundError, psutil.NoSuchProcess):
        return None


def was_started(place: Place, name: str) -> bool:
    """Whether it was started and not stopped since: if it is gone, it died."""
    return _record(place, name).exists()


def start(place: Place, service: Service) -> None:
    """Start it in a session of its own; nothing if it lives."""
    if found(place, service.name):
        return
    with log_of(place, service.name).open("ab") as log:
        process = subprocess.Popen(
            service.command,
            cwd=place.home,
            env=dict(service.environment),
            user=service.user,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    created = psutil.Process(process.pid).create_time()
    record = {"pid": process.pid, "created": created, "command": service.command}
    _record(place, service.name).write_text(json.dumps(record, indent=2) + "\n")


def wait(place: Place, service: Service, seconds: float) -> None:
    """Return once it answers.

    Raises:
        TransientError: it ended, or did not answer in time; names its log.
    """
    deadline = time.monotonic() + seconds
    while not service.answers():
        late = time.monotonic() > deadline
        if late or not found(place, service.name):
            raise TransientError(
                f"{service.name} {f'did not answer within {seconds:.0f} s' if late else 'ended'}.",
                left="What was started before it still runs.",
                fix=f"read {log_of(place, service.name)}, then `make stack` again",
            )
        time.sleep(0.2)


def stop(place: Place, service: Service) -> None:
    """End it politely, then by force, with all that it started."""
    process = found(place, service.name)
    if process:
        process.send_signal(service.stop)
        with suppress(psutil.TimeoutExpired):
            process.wait(STOP_SECONDS)
    kill(place, service.name)
    _record(place, service.name).unlink(missing_ok=True)


def kill(place: Place, name: str) -> None:
    """SIGKILL to the process and all of its session, as a power cut would; the record stays."""
    try:
        session = json.loads(_record(place, name).read_text())["pid"]
    except FileNotFoundError:
        return
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError):
            if os.getsid(process.pid) == session:
                process.kill()


def _record(place: Place, name: str) -> Path:
    return place.run / f"{name}.json"
