"""Ingest: no one who was erased comes back, and nothing is half done."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from expunge.dataset import look_up
from expunge.line import Line, Stations, ingest, run_batch, train
from expunge.line.ingest import BatchOpenError
from expunge.requests import Fence
from tests.line.small import PEOPLE, ROWS, file, git, people_in, respec_dataset, run, shards, table


@pytest.fixture
def everyone(tmp_path: Path) -> Path:
    """The rows of all people, as they were ingested first."""
    pq.write_table(table(range(PEOPLE)), tmp_path / "everyone.parquet")
    return tmp_path / "everyone.parquet"


@pytest.fixture
def newcomers(tmp_path: Path) -> Path:
    """Rows of ten people who were not there."""
    pq.write_table(table(range(PEOPLE, PEOPLE + 10)), tmp_path / "new.parquet")
    return tmp_path / "new.parquet"


def test_an_erased_person_does_not_come_back(line: Line, everyone: Path) -> None:
    erased = people_in(line, "E", 2)
    file(line, *erased)
    run(line)
    ingested = ingest(line, "small", everyone)
    assert (ingested.rows_in, ingested.suppressed) == (PEOPLE * ROWS, 2 * ROWS)
    assert ingested.rows_added == 0
    assert len(line.ledger.versions("small")) == 2
    replaced = ingest(line, "small", everyone, mode="replace")
    assert (replaced.suppressed, replaced.rows_total) == (2 * ROWS, (PEOPLE - 2) * ROWS)

    respec_dataset(line, reappearance="allow_after_erasure")
    allowed = ingest(line, "small", everyone)
    assert (allowed.suppressed, allowed.rows_added) == (0, 2 * ROWS)
    store = line.store(line.workspace.dataset("small"))
    key = line.workspace.keys.placement("small")
    assert len(look_up(store, key, erased)) == 2


def test_append_with_nothing_new_records_no_version(line: Line, everyone: Path) -> None:
    head = git(line, "rev-parse", "HEAD")
    ingested = ingest(line, "small", everyone)
    (version,) = line.ledger.versions("small")
    assert (ingested.duplicates, ingested.rows_added) == (PEOPLE * ROWS, 0)
    assert (ingested.ordinal, ingested.version) == (1, version.md5)
    assert git(line, "rev-parse", "HEAD") == head
    assert line.ledger.open_effects("small", "ingest") == ()


def test_an_open_batch_goes_before_ingest_and_train(line: Line, newcomers: Path) -> None:
    def stopped(line: Line, batch_id: str, fence: Fence) -> None:
        raise KeyboardInterrupt

    file(line, *people_in(line, "E", 1))
    with pytest.raises(KeyboardInterrupt):
        run_batch(line, "small", Stations(validate=stopped))
    before = shards(line)
    with pytest.raises(BatchOpenError, match="is staged and not finished"):
        ingest(line, "small", newcomers)
    with pytest.raises(BatchOpenError):
        train(line, "small-mlp")
    assert shards(line) == before
    run(line)
    assert ingest(line, "small", newcomers).rows_added == 10 * ROWS


@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_ingest_that_was_killed_around_its_effect_is_finished_by_the_next_run(
    moment: str, line: Line, newcomers: Path
) -> None:
    child = [sys.executable, "-m", "tests.line.ingest_child"]
    killed = subprocess.run(
        [*child, str(line.workspace.root), str(newcomers), moment], capture_output=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert len(line.ledger.versions("small")) == 1
    assert run_batch(line, "small") is None
    _, version = line.ledger.versions("small")
    assert (version.kind, version.ingest) == ("ingest", 2)
    assert version.rows == (PEOPLE + 10) * ROWS
    assert version.commit == git(line, "rev-parse", "HEAD")
    assert not list(line.workspace.state("staging").iterdir())
    assert git(line, "rev-list", "--count", f"{line.ledger.versions('small')[0].commit}..") == "1"
    assert ingest(line, "small", newcomers).duplicates == 10 * ROWS
