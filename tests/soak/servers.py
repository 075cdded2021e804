"""The servers of a site as plain processes on loopback, each of which can be killed and started.

PostgreSQL holds the ledger and MLflow's records; moto's server stands for S3, behind the proxy
that fails on demand; Prefect and MLflow are their own servers. Ports stay the same over restarts.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from deploy.stack.postgres import binary, unprivileged
from expunge.workspace import QUIET
from tests.loopback import answers, free_port
from tests.postgres import _run
from tests.soak.proxy import Proxy

START_SECONDS = 240.0
BUCKET = "expunge"
S3_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "soak",
    "AWS_SECRET_ACCESS_KEY": "soak",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass
class Server:
    """One server process with its children, in a process group of its own."""

    name: str
    command: list[str]
    log: Path
    ready: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    stop_with: signal.Signals = signal.SIGKILL
    process: subprocess.Popen[bytes] | None = None

    def launch(self) -> None:
        """Start it where it does not run."""
        if self.process is None or self.process.poll() is not None:
            with self.log.open("ab") as log:
                self.process = subprocess.Popen(
                    self.command,
                    env={**os.environ, **self.environment},
                    user=self.user,
                    cwd=self.log.parent,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )

    def start(self) -> None:
        """Start it where it does not run, and wait until it answers."""
        self.launch()
        assert self.process is not None
        deadline = time.monotonic() + START_SECONDS
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"{self.name}: {self.log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.2)

    def kill(self, sent: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to the whole group (`SIGKILL`) or to the server, and wait for its end."""
        if self.process is None:
            return
        with suppress(ProcessLookupError):
            if sent is signal.SIGKILL:
                os.killpg(self.process.pid, sent)
            else:
                self.process.send_signal(sent)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


@dataclass(frozen=True)
class Servers:
    """The servers of one site: PostgreSQL, and all others where `running` was asked for them."""

    known: Mapping[str, Server]
    proxy: Proxy
    ports: Mapping[str, int]

    def __contains__(self, name: str) -> bool:
        return name in self.known

    def __getitem__(self, name: str) -> Server:
        return self.known[name]

    def database(self, name: str) -> str:
        """SQLAlchemy URL of a database."""
        return f"postgresql+psycopg://tester@127.0.0.1:{self.ports['postgres']}/{name}"

    @property
    def environment(self) -> dict[str, str]:
        """What a process of expunge needs to find them."""
        found = {**QUIET, **S3_ENVIRONMENT, "EXPUNGE_LEDGER_URL": self.database("ledger")}
        if "mlflow" in self:
            found["EXPUNGE_MLFLOW_TRACKING_URI"] = self.url("mlflow")
        if "prefect" in self:
            found["PREFECT_API_URL"] = f"{self.url('prefect')}/api"
        return found

    def url(self, name: str) -> str:
        """Address of an HTTP server; of `s3` the one that never fails."""
        return f"http://127.0.0.1:{self.ports[name]}"

    def start(self) -> None:
        """Start whatever does not run."""
        self.proxy.heal()
        for server in self.known.values():
            if server.name != "MLflow":  # which needs the database
                server.launch()
        for server in self.known.values():
            server.start()


@contextmanager
def running(folder: Path, *, every: bool) -> Iterator[Servers]:
    """PostgreSQL, and with `every` all servers; their logs and data in `folder`."""
    ports = {name: free_port() for name in ("postgres", "s3", "mlflow", "prefect")}
    proxy = Proxy(ports["s3"])
    with ExitStack() as stack:
        stack.enter_context(proxy.running())
        data = Path(tempfile.mkdtemp(prefix="expunge-soak-pg-"))
        stack.callback(shutil.rmtree, data, ignore_errors=True)
        known = {"postgres": _postgres(data, ports["postgres"], folder)}
        if every:
            known |= {
                "s3": _s3(ports["s3"], folder),
                "mlflow": _mlflow(ports, proxy.port, folder),
                "prefect": _prefect(ports["prefect"], folder),
            }
        for server in known.values():
            stack.callback(server.kill, server.stop_with)
        servers = Servers(known, proxy, ports)
        known["postgres"].start()
        _make_databases(servers)
        if every:
            known["s3"].start()
            _make_bucket(servers)
        servers.start()
        yield servers


def _postgres(data: Path, port: int, folder: Path) -> Server:
    """Commits survive a kill of the server: only what guards against a lost machine is off."""
    initdb, postgres, user = binary("initdb"), binary("postgres"), unprivileged()
    if user is not None:
        os.chown(data, pwd.getpwnam(user).pw_uid, -1)
    auth = ["--auth=trust", "--username=tester", "--encoding=UTF8", "--no-sync", "--locale=C"]
    _run([initdb, "-D", str(data / "data"), *auth], user, data)
    options = [f"-c{one}" for one in ("fsync=off", "listen_addresses=127.0.0.1")]
    command = [postgres, "-D", str(data / "data"), "-p", str(port), "-k", str(data), *options]
    url = f"postgresql://tester@127.0.0.1:{port}/postgres"
    return Server(
        "PostgreSQL",
        command,
        folder / "postgres.log",
        lambda: _connects(url),
        user=user,
        stop_with=signal.SIGINT,
    )


def _s3(port: int, folder: Path) -> Server:
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    ready = f"http://127.0.0.1:{port}/moto-api/"
    return Server("S3", command, folder / "s3.log", lambda: answers(ready), S3_ENVIRONMENT)


def _mlflow(ports: Mapping[str, int], s3: int, folder: Path) -> Server:
    port = ports["mlflow"]
    store = f"postgresql+psycopg://tester@127.0.0.1:{ports['postgres']}/mlflow"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--backend-store-uri", store, "--workers", "1"]
    command += ["--artifacts-destination", f"s3://{BUCKET}/mlflow"]
    own = {
        **QUIET,
        **S3_ENVIRONMENT,
        "MLFLOW_S3_ENDPOINT_URL": f"http://127.0.0.1:{s3}",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # six processes that nobody asks
    }
    ready = f"http://127.0.0.1:{port}/health"
    return Server("MLflow", command, folder / "mlflow.log", lambda: answers(ready), own)


def _prefect(port: int, folder: Path) -> Server:
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1"]
    own = {
        **QUIET,
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_SERVER_UI_ENABLED": "false",
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        # As the header of prefect.yaml says: slots of killed runs are freed after a restart too.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
            "prefect.server.concurrency.lease_storage.filesystem"
        ),
    }
    ready = f"http://127.0.0.1:{port}/api/health"
    command += ["--port", str(port)]
    return Server("Prefect", command, folder / "prefect.log", lambda: answers(ready), own)


def _make_databases(servers: Servers) -> None:
    admin = f"postgresql://tester@127.0.0.1:{servers.ports['postgres']}/postgres"
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("CREATE DATABASE ledger")
        connection.execute("CREATE DATABASE mlflow")


def _make_bucket(servers: Servers) -> None:
    import boto3

    own = {"aws_access_key_id": "soak", "aws_secret_access_key": "soak"}
    client = boto3.client("s3", endpoint_url=servers.url("s3"), region_name="us-east-1", **own)
    client.create_bucket(Bucket=BUCKET)


def _connects(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=2):
            return True
    except psycopg.OperationalError:
        return False
