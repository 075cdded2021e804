"""One writer per dataset: a process that is paused beyond its lease wakes up and can do no harm."""

from __future__ import annotations

import os
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from sqlalchemy import update

from expunge.line import open_line
from expunge.requests.schema import locks
from tests.line.kill import fingerprint, in_process, started
from tests.line.small import file, people_in


@pytest.fixture
def filed(root: Path) -> Path:
    """A workspace with requests of two people."""
    with open_line(root) as line:
        file(line, *people_in(line, "T", 2))
    return root


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before publish_files 1", "before _work 1", "before promote 1"])
def test_the_late_effects_of_a_paused_process_are_refused(
    moment: str, filed: Path, tmp_path: Path
) -> None:
    paused = started(filed, tmp_path / "paused", at=moment, sent=signal.SIGSTOP)
    assert paused.pid is not None
    try:
        _until_stopped(paused.pid)
        _end_lease(filed)
        assert in_process(filed, tmp_path / "taken over") == 0
        after = fingerprint(filed, tmp_path / "after")
    finally:
        os.kill(paused.pid, signal.SIGCONT)
    paused.join()
    assert paused.exitcode == 1
    assert "LockLostError: The lock on dataset 'small'" in (tmp_path / "paused").read_text()
    assert fingerprint(filed, tmp_path / "woken") == after
    with open_line(filed) as line:
        assert [batch.state for batch in line.ledger.batches()] == ["finished"]
        assert line.registry.champion("small-mlp") == "2"


def _end_lease(root: Path) -> None:
    """Let the lease of the lock be over; a short one would have the heartbeat stopped at work."""
    with open_line(root) as line, line.ledger._store.write() as connection:
        past = datetime.now(UTC) - timedelta(seconds=1)
        connection.execute(update(locks).values(expires_at=past))


def _until_stopped(pid: int) -> None:
    deadline = time.monotonic() + 200
    while psutil.Process(pid).status() != psutil.STATUS_STOPPED:
        assert time.monotonic() < deadline
        time.sleep(0.05)
