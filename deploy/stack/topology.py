"""What the stack consists of: each process with its command, environment and sign of life.

Every secret goes by environment or file, never on a command line, which all users of a machine see.
"""

from __future__ import annotations

import base64
import os
import signal
import sys
import urllib.error
import urllib.request
from pathlib import Path

from deploy.stack.place import HOST, Place
from deploy.stack.postgres import binary, clean, unprivileged
from deploy.stack.processes import Service
from expunge.workspace import QUIET

BUCKETS = ("expunge-dvc", "expunge-mlflow")
PREFECT_USER, MLFLOW_ADMIN, MLFLOW_USER, S3_USER = "expunge", "admin", "expunge", "expunge"
_FOREIGN = ("AWS_", "EXPUNGE_", "MLFLOW_", "PG", "PREFECT_")
_PYTHON = (sys.executable, "-m")


def topology(place: Place) -> dict[str, Service]:
    """Every process, by name, in the order of starting."""
    services = (
        _postgres(place),
        _s3(place),
        _prefect(place),
        _mlflow(place),
        _worker(place, "cpu"),
        _worker(place, "gpu"),
    )
    return {service.name: service for service in services}


def base(place: Place) -> dict[str, str]:
    """The environment that all share: ours, without what it says of other servers."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(_FOREIGN)}
    return {
        **kept,
        **QUIET,
        "HOME": str(place.home),
        "DVC_SITE_CACHE_DIR": str(dvc_cache(place)),
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
    }


def dvc_cache(place: Place) -> Path:
    """Where DVC keeps its index of file hashes, which may be deleted at any time."""
    return place.home / ".cache" / "dvc"


def s3(place: Place) -> dict[str, str]:
    """How boto and DVC find the S3 server, and sign in."""
    return {
        "AWS_SHARED_CREDENTIALS_FILE": str(place.secrets / "aws-credentials"),
        "AWS_ENDPOINT_URL_S3": place.url("s3"),
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def client(place: Place) -> dict[str, str]:
    """What a worker, or a person's shell, needs to use the stack."""
    return {
        **s3(place),
        "PGPASSFILE": str(place.passfile),
        "PREFECT_HOME": str(_made(place.home / "prefect-client")),
        "PREFECT_API_URL": f"{place.url('prefect')}/api",
        "PREFECT_API_AUTH_STRING": f"{PREFECT_USER}:{place.password('prefect')}",
        "EXPUNGE_LEDGER_URL": database(place, "expunge", "expunge"),
        "EXPUNGE_MLFLOW_TRACKING_URI": place.url("mlflow"),
        "EXPUNGE_MLFLOW_USERNAME": MLFLOW_USER,
        "EXPUNGE_MLFLOW_PASSWORD_FILE": str(place.secrets / "mlflow-expunge"),
        "EXPUNGE_WORKSPACE": str(place.workspace),
    }


def database(place: Place, role: str, name: str, driver: str = "psycopg") -> str:
    """SQLAlchemy URL of a database; the password comes from PGPASSFILE."""
    return f"postgresql+{driver}://{role}@{HOST}:{place.ports['postgres']}/{name}"


def _postgres(place: Place) -> Service:
    port = str(place.ports["postgres"])
    options = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
    data = str(place.root / "postgres")
    return Service(
        name="postgres",
        command=(binary("postgres"), "-D", data, "-p", port, *options),
        answers=lambda: postgres_answers(place),
        environment=clean(),
        user=unprivileged(),
        stop=signal.SIGINT,  # SIGTERM would wait for every client to go
    )


def postgres_answers(place: Place) -> bool:
    """Whether the administrator can log in."""
    import psycopg

    port = place.ports["postgres"]
    where = f"host={HOST} port={port} dbname=postgres user=postgres connect_timeout=5"
    try:
        psycopg.connect(where, passfile=str(place.passfile)).close()
    except psycopg.OperationalError:
        return False
    return True


def _s3(place: Place) -> Service:
    port = str(place.ports["s3"])
    return Service(
        name="s3",
        command=(*_PYTHON, "moto.server", "-H", HOST, "-p", port),
        answers=lambda: answers(place.url("s3")),
        environment=base(place),
    )


def _prefect(place: Place) -> Service:
    auth = f"{PREFECT_USER}:{place.password('prefect')}"
    port = str(place.ports["prefect"])
    return Service(
        name="prefect",
        command=(*_PYTHON, "prefect", "server", "start", "--host", HOST, "--port", port),
        answers=lambda: answers(f"{place.url('prefect')}/api/admin/version", auth),
        environment={
            **base(place),
            "PGPASSFILE": str(place.passfile),
            "PREFECT_HOME": str(_made(place.root / "prefect")),
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": database(
                place, "prefect", "prefect", "asyncpg"
            ),
            "PREFECT_SERVER_API_AUTH_STRING": auth,
            "PREFECT_API_AUTH_STRING": auth,  # its own services call its API
            # Leases on disk let it free the slots of killed runs after a restart too.
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
                "prefect.server.concurrency.lease_storage.filesystem"
            ),
            "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "5",
        },
    )


def _mlflow(place: Place) -> Service:
    port = str(place.ports["mlflow"])
    options = ("--workers", "1", "--artifacts-destination", f"s3://{BUCKETS[1]}")
    return Service(
        name="mlflow",
        command=(
            *(*_PYTHON, "mlflow", "server", "--host", HOST, "--port", port),
            *("--app-name", "basic-auth", *options),
        ),
        answers=lambda: answers(f"{place.url('mlflow')}/health"),
        environment={
            **base(place),
            **s3(place),
            "PGPASSFILE": str(place.passfile),
            "MLFLOW_BACKEND_STORE_URI": database(place, "mlflow", "mlflow"),
            "MLFLOW_AUTH_CONFIG_PATH": str(place.secrets / "mlflow-auth.ini"),
            "MLFLOW_AUTH_ADMIN_USERNAME": MLFLOW_ADMIN,
            "MLFLOW_AUTH_ADMIN_PASSWORD": place.password("mlflow-admin"),
            "MLFLOW_FLASK_SERVER_SECRET_KEY": place.password("mlflow-session"),
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # jobs that we have none of, in SQLite
        },
    )


def _worker(place: Place, pool: str) -> Service:
    name = f"worker-{pool}"
    command = (*_PYTHON, "prefect", "worker", "start", "--pool", pool, "--name", name)
    return Service(
        name=name,
        command=(*command, "--type", "process", "--with-healthcheck"),
        answers=lambda: answers(f"{place.url(name)}/health"),
        environment={
            **base(place),
            **client(place),
            "PREFECT_WORKER_WEBSERVER_HOST": HOST,
            "PREFECT_WORKER_WEBSERVER_PORT": str(place.ports[name]),
            "PREFECT_WORKER_QUERY_SECONDS": "2",
        },
    )


def answers(url: str, login: str | None = None) -> bool:
    """Whether an address gives 200; `login` is `user:password`."""
    request = urllib.request.Request(url)  # noqa: S310 - our own addresses
    if login:
        request.add_header("Authorization", basic(login))
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def basic(login: str) -> str:
    """The header that signs `user:password` in."""
    return f"Basic {base64.b64encode(login.encode()).decode()}"


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
