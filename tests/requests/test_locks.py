"""One writer per dataset, by fencing token; real processes are paused, killed and raced."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from expunge.requests import (
    DatasetLockedError,
    Derived,
    Fence,
    Ledger,
    LockLostError,
    ModelSight,
)
from tests.requests.conftest import World

HERE = Path(__file__).parent


@contextmanager
def child(world: World, script: str, *more: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(HERE / script), world.url, str(world.keys.folder), *more]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True, cwd=HERE.parents[1]
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def first_line(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout is not None
    return process.stdout.readline().split()


def test_tokens_grow_and_another_holder_is_refused(world: World) -> None:
    with world.ledger.lock("digits") as first:
        with (
            pytest.raises(DatasetLockedError, match="is being written by"),
            world.ledger.lock("digits"),
        ):
            pass
        with world.ledger.lock("faces") as other:
            assert other.token == 1
        world.ledger.check(first)
    with world.ledger.lock("digits") as second:
        assert second.token == first.token + 1


def test_a_released_fence_is_stale(world: World) -> None:
    with world.ledger.lock("digits") as fence:
        pass
    with pytest.raises(LockLostError, match="taken over"):
        world.ledger.check(fence)


def test_the_lock_is_released_when_the_block_raises(world: World) -> None:
    with pytest.raises(ZeroDivisionError), world.ledger.lock("digits"):
        _ = 1 / 0
    with world.ledger.lock("digits") as fence:
        assert fence.token == 2


def test_a_heartbeat_keeps_a_short_lease(world: World) -> None:
    with (
        Ledger.open(world.url, world.keys) as one,
        Ledger.open(world.url, world.keys) as two,
        one.lock("digits", lease_seconds=0.9) as fence,
    ):
        time.sleep(1.8)
        with pytest.raises(DatasetLockedError), two.lock("digits"):
            pass
        one.check(fence)


def test_every_write_of_a_stale_holder_is_refused(world: World) -> None:
    world.file("a")
    with world.ledger.lock("digits") as old:
        batch = world.claim(old)
        world.ledger.intend(old, "k", "publish", {}, batch.id)
        world.model(old, "1")
    with world.ledger.lock("digits"):
        before = list(world.ledger.events())
        for write in every_write(world.ledger, old, batch.id, world):
            with pytest.raises(LockLostError):
                write()
        assert list(world.ledger.events()) == before
    assert world.states() == ["claimed"]


def every_write(
    ledger: Ledger, fence: Fence, batch_id: str, world: World
) -> tuple[Callable[[], object], ...]:
    made = Derived("k", "generator", "digits", 1, "F", "p", "d", "valid", world.clock())
    version: dict[str, Any] = {"md5": "m", "commit": "c", "rows": 1, "shards": 1}
    erasure: dict[str, Any] = {
        "shards_rewritten": 1,
        "trained": {},
        "models": {"cnn": ModelSight(1)},
    }
    return (
        lambda: ledger.check(fence),
        lambda: ledger.claim(fence, champions={}, limit=1),
        lambda: ledger.dispose(fence, batch_id, [], {}, {}),
        lambda: ledger.conclude(fence, batch_id, "stage", {}, state="staged"),
        lambda: ledger.fail(fence, batch_id, "x"),
        lambda: ledger.postpone(fence, batch_id, "x"),
        lambda: ledger.finish(fence, batch_id),
        lambda: ledger.intend(fence, "other", "publish", {}),
        lambda: ledger.complete(fence, "k", {}),
        lambda: ledger.record_ingest(fence, dataset="digits", ingest=1, **version),
        lambda: ledger.record_erasure(fence, batch_id, **version, **erasure),
        lambda: world.model(fence, "2"),
        lambda: ledger.record_promotion(fence, "cnn", "1"),
        lambda: ledger.settle(fence, batch_id, "cnn", decision="held", version=None),
        lambda: ledger.settle_by_training(fence, "cnn", "1"),
        lambda: ledger.record_derived(fence, made),
        lambda: ledger.invalidate_derived(fence, "digits", ["F"]),
    )


def test_a_killed_holder_loses_the_lock_at_once_and_its_batch_is_resumed(world: World) -> None:
    world.file("a")
    with (
        Ledger.open(world.url, world.keys) as now,
        child(world, "holder_child.py", "600") as process,
    ):
        token, batch_id = first_line(process)
        with pytest.raises(DatasetLockedError), now.lock("digits"):
            pass
        process.send_signal(signal.SIGKILL)
        await_death(process)
        with now.lock("digits") as fence:
            assert fence.token == int(token) + 1
            resumed = now.claim(fence, champions={}, limit=10)
            assert resumed is not None and resumed.id == batch_id
            assert now.claims(batch_id)[0].subject_id == "a"
    assert world.kinds(dataset="digits").count("lock_taken_over") == 1


def await_death(process: subprocess.Popen[str]) -> None:
    """Wait until the kernel has ended it, without reaping: a zombie counts as dead."""
    status = Path(f"/proc/{process.pid}/stat")
    while status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.01)


def test_a_paused_holder_loses_the_lock_after_its_lease_and_cannot_write(world: World) -> None:
    with (
        Ledger.open(world.url, world.keys) as now,
        child(world, "holder_child.py", "0.9") as process,
    ):
        first_line(process)
        process.send_signal(signal.SIGSTOP)
        time.sleep(1.2)
        with now.lock("digits") as fence:
            process.send_signal(signal.SIGCONT)
            time.sleep(0.7)
            now.check(fence)
            assert fence.token == 2


def test_two_processes_that_claim_never_share_a_request(world: World) -> None:
    filed = world.file(*(f"p{number}" for number in range(40)))
    with child(world, "claim_child.py") as one, child(world, "claim_child.py") as two:
        claimed = [each.communicate(timeout=90)[0].split() for each in (one, two)]
        assert (one.returncode, two.returncode) == (0, 0)
    assert sorted(claimed[0] + claimed[1]) == sorted(filed)
    assert set(world.states()) == {"no_match"}
