"""A real PostgreSQL for tests: one server a session, one fresh database a test.

PostgreSQL refuses to run as root, so it is started as an unprivileged user where we are root.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
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

from deploy.stack.postgres import PostgresMissingError, binary, unprivileged
from tests.loopback import free_port

_SPEED = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=50")


@dataclass(frozen=True)
class Server:
    """A running server; databases are made in it."""

    port: int

    def url(self, database: str, role: str = "tester") -> str:
        """SQLAlchemy URL of a database; `tester` owns everything."""
        return f"postgresql+psycopg://{role}@127.0.0.1:{self.port}/{database}"

    def run(self, script: Path, database: str) -> None:
        """Run a file of SQL with psql, as `tester`."""
        command = [binary("psql"), "--no-psqlrc", "--quiet", "-h", "127.0.0.1", "-U", "tester"]
        command += ["-p", str(self.port), "-d", database, "-f", str(script)]
        _run(command, None, script.parent)

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
    try:
        initdb, postgres = binary("initdb"), binary("postgres")
    except PostgresMissingError as error:
        message = f"NO POSTGRESQL, half of the ledger is untested: {error.what} {error.fix}"
        warnings.warn(message, stacklevel=2)
        pytest.skip(message)
    user = unprivileged()
    folder = Path(tempfile.mkdtemp(prefix="expunge-pg-"))
    if user is not None:
        os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
    process = None
    try:
        data = str(folder / "data")
        auth = ["--auth=trust", "--username=tester", "--encoding=UTF8", "--no-sync", "--locale=C"]
        _run([initdb, "-D", data, *auth], user, folder)
        port = free_port()
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
