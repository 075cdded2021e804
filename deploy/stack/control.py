"""Start, stop and look at a stack as a whole."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from deploy.stack import processes, provision
from deploy.stack.files import write_files
from deploy.stack.place import Place
from deploy.stack.postgres import make_cluster
from deploy.stack.topology import topology

START_SECONDS = 180.0
_SERVERS = ("s3", "prefect", "mlflow")
_WORKERS = ("worker-cpu", "worker-gpu")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Look:
    """How one process is: `up` does its work, `starting` lives only, `down` died, `stopped`."""

    name: str
    state: str
    pid: int | None
    port: int
    since: datetime | None


def start(place: Place, say: Say) -> None:
    """Start what does not run, and set up what is not there; what runs stays as it is.

    Raises:
        ExpungeError: a program is missing, a process ended or does not answer.
    """
    services = topology(place)
    write_files(place)
    make_cluster(place.root / "postgres", place.password("postgres-admin"))
    _up(place, say, "postgres")
    provision.databases(place)
    for name in _SERVERS:  # they have seconds of imports and migrations to do
        processes.start(place, services[name])
    provision.ledger(place)
    provision.workspace(place)
    say("databases, ledger and workspace are there")
    _up(place, say, *_SERVERS)
    provision.servers(place)
    say("buckets, MLflow user, work pools and deployments are there")
    _up(place, say, *_WORKERS)


def _up(place: Place, say: Say, *names: str) -> None:
    """Start these processes, and wait for each."""
    services, began = topology(place), time.monotonic()
    for name in names:
        processes.start(place, services[name])
    for name in names:
        processes.wait(place, services[name], START_SECONDS)
        say(f"{name} is up on port {place.ports[name]} ({time.monotonic() - began:.0f} s)")


def stop(place: Place, say: Say) -> None:
    """End every process, the ones that use others first; data, logs and secrets stay."""
    services = topology(place)
    for group in (_WORKERS, _SERVERS, ("postgres",)):
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda name: processes.stop(place, services[name]), group))
        say(f"stopped: {', '.join(group)}")


def look(place: Place) -> tuple[Look, ...]:
    """Every process, in the order of starting."""
    with ThreadPoolExecutor() as pool:
        return tuple(pool.map(lambda name: _look(place, name), topology(place)))


def _look(place: Place, name: str) -> Look:
    process = processes.found(place, name)
    if process is None:
        state = "down" if processes.was_started(place, name) else "stopped"
        return Look(name, state, None, place.ports[name], None)
    state = "up" if topology(place)[name].answers() else "starting"
    since = datetime.fromtimestamp(process.create_time(), UTC)
    return Look(name, state, process.pid, place.ports[name], since)
