"""One writer per dataset: a process that is paused beyond its lease wakes up and can do no harm."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from expunge.line import open_line
from tests.line.kill import fingerprint, in_process, started
from tests.line.small import file, people_in

LEASE = 1.5


@pytest.fixture
def filed(root: Path) -> Path:
    """A workspace with a short lease, and requests of two people."""
    with (root / "expunge.toml").open("a") as settings:
        settings.write(f"lease_seconds = {LEASE}\n")
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
        time.sleep(LEASE + 0.5)
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


def _until_stopped(pid: int) -> None:
    deadline = time.monotonic() + 200
    while psutil.Process(pid).status() != psutil.STATUS_STOPPED:
        assert time.monotonic() < deadline
        time.sleep(0.05)
