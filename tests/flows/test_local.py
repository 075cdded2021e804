"""One batch through the Prefect flow in this process, with and without a server."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import time
from pathlib import Path

import psutil
import pytest

from expunge.errors import TerminalError
from expunge.line import open_line
from flows.local import run_deletion_batch
from tests.flows.processes import (
    Job,
    environment,
    finish,
    processes_below,
    rows,
    run,
    start,
    without_api,
)
from tests.line.kill import fingerprint, in_process

TASKS = "select name, state_name, run_count from task_run"
KILLED = -signal.SIGKILL
STATIONS = ("claim", "stage", "validate", "publish", "unlearn", "evaluate", "gate", "promote")


@pytest.mark.slow
def test_with_no_server_a_batch_completes_quietly_and_leaves_its_history(
    api: Path, filed: Path, people: tuple[str, ...], tmp_path: Path
) -> None:
    home = _migrated_home(filed, api)
    before = rows(home, "select count(*) from flow_run")[0][0]
    ran = run(Job(filed, tmp_path / "run", without_api()))
    assert (ran.exitcode, ran.error, ran.output) == (0, None, "")
    assert {said.split(":")[0] for said in ran.progress} >= {*STATIONS} - {"claim"}
    with open_line(filed) as line:
        assert [request.state for request in line.ledger.requests()] == ["completed"] * 4
        assert line.ledger.batch(ran.batch_id or "").state == "finished"
        assert line.registry.champion("small-mlp") == "2"
    assert rows(home, "select count(*) from flow_run")[0][0] == before + 1
    assert [row for row in rows(home, f"{TASKS} order by start_time") if row[0] in STATIONS] == [
        (station, "Completed", 1) for station in STATIONS
    ]
    assert b"small" in _bytes(home)
    assert not [person for person in people if person.encode() in _bytes(home)]


def test_with_nothing_pending_a_server_by_url_is_asked_and_none_is_started(
    api: Path, root: Path, tmp_path: Path
) -> None:
    before = rows(api, "select count(*) from flow_run")[0][0]
    ran = run(Job(root, tmp_path / "run", environment()))
    assert (ran.exitcode, ran.error, ran.batch_id) == (0, None, None)
    assert rows(api, "select count(*) from flow_run")[0][0] == before + 1
    assert not (root / ".expunge" / "prefect").exists()


@pytest.mark.parametrize(
    ("fault", "retries", "error", "attempts"),
    [
        ("transient once", "3", None, 2),
        ("transient once", "0", "TransientError: The remote is away.", 1),
        ("transient always", "2", "TransientError: The remote is away for good.", 3),
        ("champion moved", "3", "ChampionMovedError: Someone promoted version 2.", 1),
    ],
)
def test_only_what_may_pass_is_retried_and_what_does_not_reaches_the_caller_as_it_is(
    fault: str,
    retries: str,
    error: str | None,
    attempts: int,
    api: Path,
    root: Path,
    tmp_path: Path,
) -> None:
    settings = environment(EXPUNGE_TASK_RETRIES=retries)
    ran = run(Job(root, tmp_path / "run", settings, fault=fault))
    assert (ran.error, ran.attempts) == (error, attempts)
    assert len([said for said in ran.progress if "trying again" in said]) == min(
        attempts - 1, int(retries)
    )


@pytest.mark.parametrize("embedded", [True, False])
def test_a_station_that_refuses_is_heard_once_and_without_a_traceback(
    embedded: bool, api: Path, filed: Path, tmp_path: Path
) -> None:
    if embedded:
        _migrated_home(filed, api)
    (filed / "models" / "small-mlp.yaml").write_text("ladder: none\n")
    ran = run(Job(filed, tmp_path / "run", without_api() if embedded else environment()))
    assert ran.error is not None
    assert ran.error.startswith("SpecError")
    assert ran.output == ""


def test_a_prefect_server_that_is_lost_is_told_in_our_words(root: Path, tmp_path: Path) -> None:
    nowhere = {"PREFECT_API_URL": "http://127.0.0.1:9/api", "PREFECT_CLIENT_MAX_RETRIES": "0"}
    ran = run(Job(root, tmp_path / "run", environment(**nowhere)))
    assert ran.error is not None
    assert ran.error.startswith("ApiLostError: The Prefect API at http://127.0.0.1:9/api did not")
    assert "Traceback" not in ran.output


def test_an_unknown_dataset_or_folder_is_refused_before_a_server_starts(
    root: Path, tmp_path: Path
) -> None:
    with pytest.raises(TerminalError, match="nowhere"):
        run_deletion_batch(root, "nowhere")
    with pytest.raises(TerminalError, match="not an expunge workspace"):
        run_deletion_batch(tmp_path, "small")
    assert list(tmp_path.iterdir()) == []
    assert not (root / ".expunge" / "prefect").exists()


@pytest.fixture(scope="module")
def undisturbed(
    _filed: tuple[Path, tuple[str, ...]],
    _trained: tuple[Path, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> str:
    """What a run of the bare line, without Prefect, ends in."""
    root, folder = _trained[0], tmp_path_factory.mktemp("undisturbed")
    shutil.rmtree(root)
    shutil.copytree(_filed[0], root, symlinks=True)
    assert in_process(root, folder / "trace") == 0
    return fingerprint(root, folder / "fingerprint")


@pytest.mark.slow
def test_a_flow_killed_after_publishing_ends_like_an_undisturbed_line(
    api: Path, filed: Path, undisturbed: str, tmp_path: Path
) -> None:
    at = "after publish_files 1"
    assert run(Job(filed, tmp_path / "killed", environment(), at=at)).exitcode == KILLED
    assert run(Job(filed, tmp_path / "resumed", environment())).exitcode == 0
    assert fingerprint(filed, tmp_path / "found") == undisturbed


@pytest.mark.slow
def test_a_flow_killed_while_its_worker_unlearns_ends_like_an_undisturbed_line(
    api: Path, filed: Path, undisturbed: str, tmp_path: Path
) -> None:
    home = _migrated_home(filed, api)
    job = Job(filed, tmp_path / "killed", without_api())
    child = start(job)
    assert child.pid is not None
    _wait_for_worker(child.pid)
    below = processes_below(child.pid)
    os.kill(child.pid, signal.SIGKILL)
    assert finish(child, job).exitcode == KILLED
    assert len(below) >= 2, "the embedded server and the unlearning worker"
    assert psutil.wait_procs(below, timeout=30)[1] == []
    assert rows(home, "select active_slots from concurrency_limit_v2") == [(1,)], "a slot is lost"
    assert run(Job(filed, tmp_path / "resumed", without_api())).exitcode == 0
    assert rows(home, "select active_slots from concurrency_limit_v2") == [(0,)]
    assert fingerprint(filed, tmp_path / "found") == undisturbed


def _wait_for_worker(pid: int) -> None:
    """Return once there is an unlearning worker below `pid`."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        below = processes_below(pid)
        if any("expunge.worker" in _command(process) for process in below):
            return
        time.sleep(0.02)
    raise AssertionError("no unlearning worker was started")


def _command(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def _migrated_home(root: Path, api: Path) -> Path:
    """Folder of the embedded server's database, which is a copy of another's: migrated already."""
    home = root / ".expunge" / "prefect"
    home.mkdir()
    copy, source = sqlite3.connect(home / "prefect.db"), sqlite3.connect(api / "prefect.db")
    source.backup(copy)
    copy.close()
    source.close()
    return home


def _bytes(home: Path) -> bytes:
    return b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
