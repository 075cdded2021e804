"""Faults in mid-run: a clear error, nothing lost, and the next run ends as it should."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from expunge.errors import TerminalError, TransientError
from expunge.line import Line, Stations, run_batch
from expunge.line import validate as validation
from expunge.line.attempt import Attempt
from expunge.line.gate import gate
from expunge.line.publish import publish
from expunge.line.stage import stage
from expunge.line.unlearn import unlearn, work_folder
from expunge.line.validate import ValidationFailedError, validate
from expunge.lineage import RegistryUnreachableError
from expunge.requests import DatasetLockedError, Fence, Ledger, LockLostError
from expunge.worker import RESULT
from tests.line.small import RETRAIN, file, git, people_in, respec, run, shards, states

NOWHERE = "http://127.0.0.1:9"
"""A port on which nothing listens."""


@pytest.fixture
def requests(line: Line) -> list[str]:
    """Two people who were trained on, one who was held out."""
    return file(line, *people_in(line, "T", 2), *people_in(line, "E", 1))


def untouched(line: Line) -> tuple[object, ...]:
    """What a batch that published nothing must leave as it is."""
    return (
        git(line, "rev-parse", "HEAD"),
        git(line, "tag", "--list"),
        shards(line),
        line.ledger.versions("small"),
        line.registry.champion("small-mlp"),
    )


def completes(line: Line, requests: list[str]) -> bool:
    """Whether the next run finishes the batch, with every request completed."""
    report = run(line)
    assert (report.state, report.models[0].decision) == ("finished", "retrained")
    assert line.ledger.open_batch("small") is None
    assert len(line.ledger.versions("small")) == 2
    return set(states(line, requests)) == {"completed"}


@pytest.mark.usefixtures("quick")
def test_of_two_runs_at_once_the_second_is_told_to_wait(line: Line, requests: list[str]) -> None:
    before = untouched(line)
    with line.lock("small"), pytest.raises(DatasetLockedError, match="is being written by"):
        run_batch(line, "small")
    assert untouched(line) == before
    assert set(states(line, requests)) == {"pending"}
    assert completes(line, requests)


@pytest.mark.usefixtures("quick")
def test_a_run_that_lost_its_lock_writes_nothing_more(line: Line, requests: list[str]) -> None:
    url = line.workspace.settings.ledger.url.get_secret_value()
    before = untouched(line)

    def publish_too_late(line: Line, batch_id: str, fence: Fence) -> None:
        def later() -> datetime:
            return datetime.now(UTC) + timedelta(hours=1)

        with (
            Ledger.open(url, line.workspace.keys, clock=later) as other,
            other.lock("small", lease_seconds=60),
        ):
            publish(line, batch_id, fence)

    with pytest.raises(LockLostError, match="taken over"):
        run_batch(line, "small", Stations(publish=publish_too_late))
    assert untouched(line) == before
    assert completes(line, requests)


@pytest.mark.usefixtures("quick")
def test_a_run_whose_files_went_with_its_lock_says_that_the_lock_was_lost(
    line: Line,
    requests: list[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As when it was stopped beyond its lease, and another run published what it had staged."""
    url, facts = line.workspace.settings.ledger.url.get_secret_value(), validation.collect_facts

    def overtaken(spec: Any, store: Any, staged: Any, *rest: Any) -> Any:
        later = datetime.now(UTC) + timedelta(hours=1)
        with Ledger.open(url, line.workspace.keys, clock=lambda: later) as other:
            with other.lock("small", lease_seconds=60):
                shutil.rmtree(staged.staging)
            return facts(spec, store, staged, *rest)

    monkeypatch.setattr(validation, "collect_facts", overtaken)
    with pytest.raises(LockLostError, match="taken over"):
        run_batch(line, "small")
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.usefixtures("quick")
def test_an_unreachable_mlflow_leaves_the_candidate_for_the_next_run(
    line: Line, requests: list[str]
) -> None:
    def gate_without_mlflow(line: Line, batch_id: str, fence: Fence, attempt: Attempt) -> bool:
        away = replace(line.registry, uri=NOWHERE)
        return gate(replace(line, registry=away), batch_id, fence, attempt)

    with pytest.raises(RegistryUnreachableError, match="MLflow is not reachable") as caught:
        run_batch(line, "small", Stations(gate=gate_without_mlflow))
    assert "expunge doctor" in caught.value.fix
    assert line.registry.champion("small-mlp") == "1"
    assert states(line, requests) == ["erased_model_pending"] * 2 + ["completed"]
    (trained,) = line.ledger.parts(line.ledger.batches()[0].id, "unlearn")
    assert trained == "small-mlp/1/0"
    assert completes(line, requests)
    assert len(line.ledger.parts(line.ledger.batches()[0].id, "unlearn")) == 1


@pytest.mark.usefixtures("quick")
def test_an_unreachable_remote_leaves_the_version_uncommitted(
    line: Line, requests: list[str]
) -> None:
    remote, away = line.workspace.state("remote"), line.workspace.state() / "away"
    head, versions = git(line, "rev-parse", "HEAD"), line.ledger.versions("small")
    remote.rename(away)
    remote.write_text("not a folder any more")
    with pytest.raises(TransientError, match="DVC remote") as caught:
        run_batch(line, "small")
    assert "not committed" in caught.value.left
    assert (git(line, "rev-parse", "HEAD"), line.ledger.versions("small")) == (head, versions)
    assert states(line, requests) == ["claimed"] * 3
    remote.unlink()
    away.rename(remote)
    assert completes(line, requests)


@pytest.mark.usefixtures("quick")
def test_a_full_disk_is_transient_at_every_station_and_loses_nothing(
    line: Line, requests: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = untouched(line)

    with monkeypatch.context() as disk, pytest.raises(TransientError, match="No room") as caught:
        disk.setattr(Path, "write_text", _full(Path.write_text, "manifest.json"))
        run_batch(line, "small")
    assert "What is published is unchanged" in caught.value.left
    assert untouched(line) == before

    with monkeypatch.context() as disk, pytest.raises(TransientError, match="disk is full"):
        disk.setattr(os, "link", _full(os.link, spared="sealed"))
        disk.setattr(shutil, "copyfile", _full(shutil.copyfile))
        run_batch(line, "small")
    assert git(line, "rev-parse", "HEAD") == before[0]

    with monkeypatch.context() as disk, pytest.raises(TransientError, match="No room"):
        disk.setattr(Path, "write_text", _full(Path.write_text, "job.json"))
        run_batch(line, "small")
    assert line.registry.champion("small-mlp") == "1"
    assert completes(line, requests)


def _full(
    write: Callable[..., Any], only: str | None = None, spared: str = ""
) -> Callable[..., Any]:
    """A write that finds no space left: for one file name or all, but in the folder `spared`."""

    def on_a_full_disk(path: Path, *args: Any, **kwargs: Any) -> Any:
        if only in (None, Path(path).name) and Path(path).parent.name != spared:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, *args, **kwargs)

    return on_a_full_disk


@pytest.mark.usefixtures("quick")
def test_staged_files_that_fail_validation_are_dropped_and_the_targets_pending_again(
    line: Line, requests: list[str]
) -> None:
    before = untouched(line)

    def validate_what_was_tampered_with(line: Line, batch_id: str, fence: Fence) -> None:
        staged = next(line.staging(batch_id).glob("shard-*.parquet"))
        shutil.copyfile(line.workspace.root / "data/small" / staged.name, staged)
        validate(line, batch_id, fence)

    with pytest.raises(ValidationFailedError, match="claimed_rows_left") as caught:
        run_batch(line, "small", Stations(validate=validate_what_was_tampered_with))
    assert "pending again" in caught.value.left
    (batch,) = line.ledger.batches()
    assert batch.state == "failed"
    assert "claimed_rows_left" in str(batch.reason)
    assert untouched(line) == before
    assert set(states(line, requests)) == {"pending"}
    assert not line.staging(batch.id).exists()
    assert not line.sealed(batch.id).exists()
    assert not list(line.workspace.settings.folders.keys.glob(f"data-{batch.id}*"))
    assert completes(line, requests)


@pytest.mark.usefixtures("quick")
def test_what_a_killed_process_left_of_a_failed_batch_is_swept_by_the_next(
    line: Line, requests: list[str]
) -> None:
    with line.lock("small") as fence:
        batch = line.ledger.claim(fence, champions={}, limit=10)
        assert batch is not None
        line.ledger.dispose(
            fence, batch.id, [], {}, {c.target_id: 10 for c in line.ledger.claims(batch.id)}
        )
        stage(line, batch.id, fence)
        line.ledger.fail(fence, batch.id, "as before a kill")
    assert line.sealed(batch.id).exists()
    assert completes(line, requests)
    assert not line.staging(batch.id).exists()
    assert not line.sealed(batch.id).exists()


def test_a_worker_that_is_killed_leaves_the_champion_and_the_next_run_goes_on(
    line: Line, requests: list[str]
) -> None:
    respec(line, ladder=[{**RETRAIN, "recipe": {"epochs": 5000}}])

    def kill_the_worker(
        station: str, text: str, done: float | None = None, total: float | None = None
    ) -> None:
        if (station, done) == ("unlearn", 1):
            for child in psutil.Process().children():
                if "expunge.worker" in child.cmdline():
                    child.kill()

    with pytest.raises(TransientError, match=r"worker was killed \(signal 9\)") as caught:
        run_batch(replace(line, progress=kill_the_worker), "small")
    assert "the champion is as it was" in caught.value.left
    assert line.registry.champion("small-mlp") == "1"
    respec(line, ladder=[RETRAIN])
    assert completes(line, requests)


def test_a_worker_without_room_for_its_result_may_be_run_again(
    line: Line, requests: list[str]
) -> None:
    def unlearn_onto_a_full_disk(line: Line, batch_id: str, fence: Fence, attempt: Attempt) -> None:
        (work_folder(line, fence, attempt) / f"{RESULT}.part").symlink_to("/dev/full")
        unlearn(line, batch_id, fence, attempt)

    with pytest.raises(TransientError, match="could not finish: No room to write"):
        run_batch(line, "small", Stations(unlearn=unlearn_onto_a_full_disk))
    (batch,) = line.ledger.batches()
    assert line.ledger.parts(batch.id, "unlearn") == ()
    assert line.registry.champion("small-mlp") == "1"


def test_a_network_that_raises_in_the_worker_is_named(line: Line, requests: list[str]) -> None:
    (line.workspace.root / "models/raises.py").write_text("def MLP(**_):\n    raise KeyError(3)\n")
    respec(line, factory="raises.py:MLP")
    with pytest.raises(TerminalError, match=r"raises\.py:MLP raised KeyError"):
        run_batch(line, "small")
    assert line.registry.champion("small-mlp") == "1"
    assert states(line, requests) == ["erased_model_pending"] * 2 + ["completed"]
