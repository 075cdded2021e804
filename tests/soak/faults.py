"""What is done to a run: one function a fault, each at a moment drawn by the round's seed.

A fault gets a run that has just been started and leaves it ended, one way or another; what it
broke outside is mended by `Round.mend`.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from tests.soak.children import Child, forked, started
from tests.soak.place import LEASE_SECONDS, PATIENCE, Place, is_limited
from tests.soak.proxy import Mode

STATIONS = ("claim", "stage", "validate", "publish", "unlearn", "evaluate", "register", "promote")
ERASING = ("claim", "stage", "validate", "publish", "report")
FAKETIME = "/usr/lib/*/faketime/libfaketimeMT.so.1"

Fault = Callable[[Place, random.Random, bool], None]


def station(place: Place, child: Child, draw: random.Random, names: tuple[str, ...]) -> None:
    """Wait until the run says that it is at a station drawn from `names`, and a little longer."""
    child.reaches(rf"^ *{draw.choice(names)}  ", PATIENCE)
    time.sleep(draw.random() ** 2)


def reached(unlearns: bool) -> tuple[str, ...]:
    """Stations that a run comes to."""
    return STATIONS if unlearns else ERASING


def kill_run(place: Place, draw: random.Random, unlearns: bool) -> None:
    """SIGKILL of the process that runs the flow."""
    child = place.run()
    _kill(place, child, draw, unlearns)


def _kill(place: Place, child: Child, draw: random.Random, unlearns: bool) -> None:
    """SIGKILL at a station that the run comes to; what it had started ends too."""
    station(place, child, draw, reached(unlearns))
    below = child.below()
    child.send(signal.SIGKILL)
    child.wait(PATIENCE)
    _end(below)


def kill_unlearning(place: Place, draw: random.Random, unlearns: bool) -> None:
    """SIGKILL of the subprocess that unlearns, as the kernel does when memory runs out."""
    child = place.run()
    child.reaches(r"^ *unlearn  ", PATIENCE)
    deadline = time.monotonic() + 60
    while child.status is None and time.monotonic() < deadline:
        if below := [one for one in child.below() if "expunge.worker" in _words(one)]:
            time.sleep(draw.random() * 3)
            with suppress(psutil.NoSuchProcess):
                below[0].kill()
            break
        time.sleep(0.05)
    child.wait(PATIENCE)


def _server(which: str, sent: signal.Signals) -> Fault:
    def fault(place: Place, draw: random.Random, unlearns: bool) -> None:
        server = place.servers[which]
        child = place.run()
        station(place, child, draw, reached(unlearns))
        server.kill(sent)
        time.sleep(draw.random() * 4)
        if draw.random() < 0.7:  # else it stays away until the run has given up
            server.start()
        child.wait(PATIENCE)

    return fault


def _s3(mode: Mode) -> Fault:
    def fault(place: Place, draw: random.Random, unlearns: bool) -> None:
        share = draw.choice((0.2, 0.5, 1.0))
        if draw.random() < 0.5:
            place.servers.proxy.fail(mode, share, draw.randrange(2**32))
            child = place.run()
        else:
            child = place.run()
            station(place, child, draw, ("publish",))
            place.servers.proxy.fail(mode, share, draw.randrange(2**32))
        child.wait(PATIENCE)

    return fault


def disk_full(place: Place, draw: random.Random, unlearns: bool) -> None:
    """The workspace's disk has no room left, from one moment on."""
    assert is_limited(place.root), "needs the right to mount a small disk"
    child = place.run()
    station(place, child, draw, reached(unlearns))
    place.fill_disk(draw.choice((0, 0, 4096, 65536)))
    child.wait(PATIENCE)


def file_limit(place: Place, draw: random.Random, unlearns: bool) -> None:
    """No file may get larger than a few kilobytes (`RLIMIT_FSIZE`)."""
    place.run(SOAK_FILE_LIMIT=str(draw.choice((512, 4096, 16384)))).wait(PATIENCE)


def clock_jump(place: Place, draw: random.Random, unlearns: bool) -> None:
    """The clock of a run jumps by days, back or ahead, while it works (libfaketime)."""
    (library,) = Path("/").glob(FAKETIME.lstrip("/"))
    clock = place.folder / "clock"
    clock.write_text("+0")
    fake = {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    fake |= place.environment
    child = started(place.root, place.output(), "expunge", "run", **fake)
    station(place, child, draw, reached(unlearns))
    clock.write_text(draw.choice(("+3d", "-3d", "+1h", "-1h")))
    child.wait(PATIENCE)


def two_at_once(place: Place, draw: random.Random, unlearns: bool) -> None:
    """Two schedulers start the same batch within a moment of each other."""
    first = place.run()
    time.sleep(draw.random() * 1.5)
    second = place.run()
    for child in (first, second):
        child.wait(PATIENCE)


def paused_holder(place: Place, draw: random.Random, unlearns: bool) -> None:
    """A run is stopped until its lease is over and another one took its place, and wakes up."""
    child = place.run()
    station(place, child, draw, reached(unlearns))
    child.send(signal.SIGSTOP)
    try:
        time.sleep(LEASE_SECONDS + 1)
        other = place.run()
        if draw.random() < 0.5:
            station(place, other, draw, reached(unlearns))
        else:
            other.wait(PATIENCE)
    finally:
        child.send(signal.SIGCONT)
    for each in (child, other):
        each.wait(PATIENCE)


def embedded(place: Place, draw: random.Random, unlearns: bool) -> None:
    """SIGKILL of a plain `expunge run` with its own embedded Prefect API."""
    more = {**place.environment, "PREFECT_API_URL": ""}
    child = started(place.root, place.output(), "expunge", "run", **more)
    _kill(place, child, draw, unlearns)


def stack(place: Place, draw: random.Random, unlearns: bool) -> None:
    """The scheduled deployment fired twice at once, and SIGKILL of its worker."""
    api = f"{place.servers.url('prefect')}/api"
    name = "deletion-batches/nightly"
    deployment = httpx.get(f"{api}/deployments/name/{name}", timeout=60).raise_for_status().json()
    words = ("prefect", "worker", "start", "--pool", "cpu")
    more = {"EXPUNGE_WORKSPACE": str(place.root), "PREFECT_WORKER_QUERY_SECONDS": "1"}
    worker = forked(Path.cwd(), place.output(), *words, **place.environment, **more)
    for _ in range(2):
        url = f"{api}/deployments/{deployment['id']}/create_flow_run"
        httpx.post(url, json={"state": {"type": "SCHEDULED"}}, timeout=60).raise_for_status()
    worker.reaches(rf"\b{draw.choice(reached(unlearns))}\b", 120)
    time.sleep(draw.random() * 3)
    below = worker.below()
    worker.send(signal.SIGKILL)
    worker.wait(PATIENCE)
    for one in below if draw.random() < 0.5 else ():
        with suppress(psutil.NoSuchProcess):
            one.kill()
    _end(below, seconds=PATIENCE)


def _end(processes: list[psutil.Process], seconds: float = 30) -> None:
    """What a killed process had started ends by itself."""
    _, alive = psutil.wait_procs(processes, seconds)
    words = [_words(one) for one in alive]
    for one in alive:
        with suppress(psutil.NoSuchProcess):
            one.kill()
    assert not alive, f"still alive {seconds:.0f} s after their parent was killed: {words}"


def _words(process: psutil.Process) -> str:
    with suppress(psutil.NoSuchProcess):
        return " ".join(process.cmdline())
    return ""


@dataclass(frozen=True)
class Kind:
    """A fault, how often it comes in a full cycle of rounds, and the server that it needs."""

    play: Fault
    times: int
    needs: str = "postgres"


FAULTS: Mapping[str, Kind] = {
    "SIGKILL of the run's process": Kind(kill_run, 9),
    "SIGKILL of the unlearning subprocess": Kind(kill_unlearning, 4),
    "PostgreSQL: immediate shutdown": Kind(_server("postgres", signal.SIGQUIT), 5),
    "PostgreSQL: SIGKILL of every process": Kind(_server("postgres", signal.SIGKILL), 3),
    "PostgreSQL: restart": Kind(_server("postgres", signal.SIGINT), 3),
    "MLflow server: SIGKILL": Kind(_server("mlflow", signal.SIGKILL), 2, "mlflow"),
    "Prefect server: SIGKILL": Kind(_server("prefect", signal.SIGKILL), 2, "prefect"),
    "S3 answers 500": Kind(_s3("error"), 3, "s3"),
    "S3 is slow": Kind(_s3("slow"), 2, "s3"),
    "S3 resets connections": Kind(_s3("refuse"), 3, "s3"),
    "S3 cuts answers short": Kind(_s3("cut"), 2, "s3"),
    "disk full": Kind(disk_full, 4),
    "largest file allowed reached": Kind(file_limit, 3),
    "clock jumps": Kind(clock_jump, 1, "prefect"),
    "two schedulers at once": Kind(two_at_once, 4),
    "holder paused beyond its lease": Kind(paused_holder, 5),
    "SIGKILL of `expunge run` with its embedded API": Kind(embedded, 1, "prefect"),
    "SIGKILL of a worker, deployment fired twice": Kind(stack, 1, "prefect"),
}
