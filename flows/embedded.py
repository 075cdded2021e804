"""A Prefect API for one process, where no server is configured.

`PREFECT_API_URL` in the environment wins. Otherwise `embedded_api` starts Prefect's own server
application in a child process on a free loopback port, with its database in the workspace's
private folder, and stops it afterwards. Importing Prefect takes seconds, so the child is started
first and waited for last. The child ends by itself when its parent dies: its standard input
closes.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from expunge.errors import TransientError
from expunge.workspace import quiet_environment

STARTUP_SECONDS = 120.0
# What a single run needs no service for: schedules, late runs, triggers, and the like.
_IDLE_SERVICES = (
    "CANCELLATION_CLEANUP",
    "FOREMAN",
    "LATE_RUNS",
    "PAUSE_EXPIRATIONS",
    "SCHEDULER",
    "TRIGGERS",
)
_active: dict[str, str] = {}


@contextmanager
def embedded_api(home: Path) -> Iterator[None]:
    """Point Prefect at a server for the length of the block; nested use shares the first one."""
    if "PREFECT_API_URL" in os.environ or _active:
        yield
        return
    quiet_environment()
    before = dict(os.environ)
    port = _free_port()
    os.environ.update(_environment(home, port))
    server = _start(port)
    _active["url"] = os.environ["PREFECT_API_URL"]
    try:
        yield
    finally:
        _active.clear()
        _stop(server)
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)


def wait_for_api() -> None:
    """Return once the embedded API answers; at once where a server is configured by URL."""
    if not _active:
        return
    deadline = time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{_active['url']}/health", timeout=5) as answer:  # noqa: S310
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise TransientError(
        f"The embedded Prefect API did not answer within {STARTUP_SECONDS:.0f} s.",
        fix="run again; or start a server and set PREFECT_API_URL",
    )


def _environment(home: Path, port: int) -> dict[str, str]:
    quiet = {f"PREFECT_SERVER_SERVICES_{name}_ENABLED": "false" for name in _IDLE_SERVICES}
    return {
        **quiet,
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_UI_ENABLED": "false",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "0.5",
        "PREFECT_LOGGING_LEVEL": os.environ.get("PREFECT_LOGGING_LEVEL", "WARNING"),
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _start(port: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "flows.embedded", str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(timeout=10)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _serve(port: int) -> None:
    import uvicorn

    threading.Thread(target=_die_with_parent, daemon=True).start()
    uvicorn.run(
        "prefect.server.api.server:create_app",
        factory=True,
        host="127.0.0.1",
        port=port,
        log_level="error",
    )


def _die_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
