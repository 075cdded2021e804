"""A real PostgreSQL for tests: one server a session, one fresh database a test.

PostgreSQL refuses to run as root, so it is started as an unprivileged user where we are root.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

_SPEED = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=50")
_FOLDERS = ("/usr/lib/postgresql/*/bin", "/opt/homebrew/opt/postgresql*/bin")


@dataclass(frozen=True)
class Server:
    """A running server; databases are made in it."""

    port: int

    def url(self, database: str) -> str:
        """SQLAlchemy URL of a database."""
        return f"postgresql+psycopg://tester@127.0.0.1:{self.port}/{database}"

    @contextlib.contextmanager
    def database(self, template: str = "template1") -> Iterator[str]:
        """URL of a fresh database, a copy of `template`; dropped afterwards."""
        name = f"t{uuid.uuid4().hex}"
        engine = sa.create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE {template}")
            try:
                yield self.url(name)
            finally:
                connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
        engine.dispose()


@contextlib.contextmanager
def running_server() -> Iterator[Server]:
    """Start a server in a temporary folder; skips, loudly, where there is no PostgreSQL."""
    initdb, postgres = _binary("initdb"), _binary("postgres")
    if initdb is None or postgres is None:
        message = "NO POSTGRESQL on this machine (initdb, postgres): half of the ledger is untested"
        warnings.warn(message, stacklevel=2)
        pytest.skip(message)
    user = _unprivileged()
    folder = Path(tempfile.mkdtemp(prefix="expunge-pg-"))
    if user is not None:
        os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
    process = None
    try:
        data = str(folder / "data")
        auth = ["--auth=trust", "--username=tester", "--encoding=UTF8", "--no-sync", "--locale=C"]
        _run([initdb, "-D", data, *auth], user, folder)
        port = _free_port()
        options = [f"-c{option}" for option in (*_SPEED, "listen_addresses=127.0.0.1")]
        with (folder / "log").open("wb") as log:
            command = [postgres, "-D", data, "-p", str(port), "-k", str(folder), *options]
            process = subprocess.Popen(
                command, user=user, cwd=folder, stdout=log, stderr=log, env=_environment()
            )
        _await(Server(port), process, folder / "log")
        yield Server(port)
    finally:
        if process is not None:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _binary(name: str) -> str | None:
    if found := shutil.which(name):
        return found
    for pattern in _FOLDERS:
        root, _, rest = pattern.partition("*")
        for folder in sorted(Path(root).parent.glob(f"{Path(root).name}*{rest}"), reverse=True):
            if (folder / name).exists():
                return str(folder / name)
    return None


def _unprivileged() -> str | None:
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in names)


def _environment() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C", "TZ": "Asia/Kathmandu"}


def _run(command: list[str], user: str | None, folder: Path) -> None:
    done = subprocess.run(
        command,
        check=False,
        user=user,
        cwd=folder,
        capture_output=True,
        text=True,
        env=_environment(),
    )
    assert done.returncode == 0, done.stderr


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    engine = sa.create_engine(server.url("postgres"))
    for _ in range(200):
        assert process.poll() is None, log.read_text(errors="replace")
        try:
            with engine.connect():
                engine.dispose()
                return
        except sa.exc.OperationalError:
            time.sleep(0.05)
    raise AssertionError(log.read_text(errors="replace"))
