"""A Prefect API for one process, where no server is configured.

`PREFECT_API_URL` in the environment wins. Otherwise `embedded_api` starts Prefect's own server
application in a child process on a free loopback port, with its database in the workspace's
private folder, and stops it afterwards. Both sides have seconds of imports to do, so the child is
started first and waited for last. The child ends by itself when its parent dies: its standard
input closes.
"""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from expunge.errors import TransientError
from expunge.workspace import quiet_environment

STARTUP_SECONDS = 120.0
STOP_SECONDS = 10.0
LOG = "server.log"
# What a single run needs no service for: schedules, late runs, triggers, and the like.
_IDLE_SERVICES = (
    "CANCELLATION_CLEANUP",
    "FOREMAN",
    "LATE_RUNS",
    "PAUSE_EXPIRATIONS",
    "REPOSSESSOR",
    "SCHEDULER",
    "TRIGGERS",
)


@dataclass(frozen=True)
class _Server:
    url: str
    process: subprocess.Popen[bytes]
    log: Path


_running: list[_Server] = []


def is_embedded() -> bool:
    """Whether this process has a server of its own running."""
    return bool(_running)


@contextmanager
def embedded_api(home: Path) -> Iterator[None]:
    """Point Prefect at a server for the length of the block; nested use shares the first one."""
    if os.environ.get("PREFECT_API_URL") or _running:
        yield
        return
    quiet_environment()
    port = _free_port()
    settings = _environment(home, port)
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    server = _start(home, port)
    _running.append(server)
    try:
        yield
    finally:
        _flush()
        _running.remove(server)
        _stop(server.process)
        _restore(before)


def wait_for_api() -> None:
    """Return once the embedded API answers; at once where a server is configured by URL.

    Raises:
        TransientError: the server ended, or did not answer in time.
    """
    if _running:
        _wait(_running[0])
    _settle_prefect()


def _wait(server: _Server) -> None:
    deadline = time.monotonic() + STARTUP_SECONDS
    while not _answers(server.url):
        if server.process.poll() is not None:
            raise TransientError(
                f"The embedded Prefect API ended with status {server.process.returncode}.",
                fix=f"look at {server.log}, then run again; "
                "or start a server and set PREFECT_API_URL",
            )
        if time.monotonic() > deadline:
            raise TransientError(
                f"The embedded Prefect API did not answer within {STARTUP_SECONDS:.0f} s.",
                fix="run again; or start a server and set PREFECT_API_URL",
            )
        time.sleep(0.1)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _settle_prefect() -> None:
    """Make Prefect, which may have been imported earlier, see this server, and say nothing.

    Errors reach the caller as exceptions; Prefect would print each one first, at length. Its
    history of the run keeps its logs. Who sets `PREFECT_LOGGING_LEVEL` sees them as well.
    """
    from prefect.context import refresh_global_settings_context

    refresh_global_settings_context()
    if "PREFECT_LOGGING_LEVEL" not in os.environ:
        logging.getLogger("prefect").propagate = False


def _flush() -> None:
    """Send what Prefect's threads still hold, so that the history of the run is whole.

    They would otherwise try it at interpreter exit, in vain and aloud: the server is gone then.
    """
    if "prefect.flows" not in sys.modules:
        return
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    EventsWorker.drain_all(timeout=STOP_SECONDS)
    APILogWorker.drain_all(timeout=STOP_SECONDS)
    logging.getLogger("prefect").propagate = True


def _environment(home: Path, port: int) -> dict[str, str]:
    quiet = {f"PREFECT_SERVER_SERVICES_{name}_ENABLED": "false" for name in _IDLE_SERVICES}
    return {
        **quiet,
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        # Blocks and the UI are for servers that people look at; both cost seconds of start.
        "PREFECT_API_BLOCKS_REGISTER_ON_START": "false",
        "PREFECT_SERVER_UI_ENABLED": "false",
        "PREFECT_SERVER_DATABASE_MIGRATE_ON_START": "false",  # the child does, under a lock
        # Whole seconds: Prefect cuts a fraction to 0, and its recorder then never sleeps.
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _start(home: Path, port: int) -> _Server:
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (home / LOG).open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.embedded_server", str(port)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    return _Server(os.environ["PREFECT_API_URL"], process, home / LOG)


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
    if server.stdin:
        server.stdin.close()


def _restore(before: Mapping[str, str | None]) -> None:
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
