"""A stack's folder and its processes: secrets, ports, and what a killed process looks like."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from deploy.stack import processes
from deploy.stack.files import write_files
from deploy.stack.place import PORTS, Place
from deploy.stack.processes import Service
from expunge.errors import TerminalError, TransientError

# A parent and a child that outlives it, as a server with a worker process has.
FAMILY = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place.make(tmp_path / "stack")


def service(place: Place, code: str) -> Service:
    log = processes.log_of(place, "prefect")
    return Service(
        name="prefect",
        command=(sys.executable, "-c", code),
        answers=lambda: bool(log.read_text().strip()),
        environment=dict(os.environ),
    )


@pytest.fixture
def family(place: Place) -> Iterator[Service]:
    made = service(place, FAMILY)
    processes.start(place, made)
    processes.wait(place, made, 30)
    yield made
    processes.stop(place, made)


def test_secrets_are_random_kept_and_readable_by_their_owner_only(place: Place) -> None:
    write_files(place)
    before = {path.name: path.read_text() for path in place.secrets.iterdir()}
    write_files(Place.make(place.root))
    assert {path.name: path.read_text() for path in place.secrets.iterdir()} == before
    assert len({place.password(name) for name in ("s3", "prefect", "mlflow-admin")}) == 3
    assert min(len(text) for text in before.values()) >= 32
    assert stat.S_IMODE(place.secrets.stat().st_mode) == 0o700
    files = [*place.secrets.iterdir(), place.env]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_ports_are_distinct_and_chosen_once(place: Place) -> None:
    assert set(place.ports) == set(PORTS)
    assert len(set(place.ports.values())) == len(PORTS)
    assert Place.make(place.root).ports == place.ports


def test_a_folder_with_something_else_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(TerminalError, match="no stack made it"):
        Place.make(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_kill_ends_a_process_with_its_children_and_the_loss_is_seen(
    place: Place, family: Service
) -> None:
    child = int(processes.log_of(place, family.name).read_text())
    assert processes.found(place, family.name)
    processes.kill(place, family.name)
    psutil.wait_procs([psutil.Process(child)] if psutil.pid_exists(child) else [], 10)
    assert processes.found(place, family.name) is None
    assert processes.was_started(place, family.name)
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE


def test_what_runs_is_not_started_twice_and_what_is_stopped_is_not_down(
    place: Place, family: Service
) -> None:
    running = processes.found(place, family.name)
    processes.start(place, family)
    assert processes.found(place, family.name) == running
    processes.stop(place, family)
    assert not processes.was_started(place, family.name)


def test_a_process_that_ends_at_once_is_told_with_its_log(place: Place) -> None:
    broken = service(place, "raise SystemExit('')")
    processes.start(place, broken)
    with pytest.raises(TransientError, match="prefect ended") as caught:
        processes.wait(place, broken, 30)
    assert "logs/prefect.log" in caught.value.fix
