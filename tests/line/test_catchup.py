"""A ledger from yesterday's backup: nothing goes on, and nobody comes back."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from expunge.dataset import look_up
from expunge.errors import TerminalError
from expunge.line import LedgerBehindError, adopt, catch_up, ingest, open_line, train
from expunge.requests import Filing
from tests.line.small import PEOPLE, ROWS, file, people_in, run, states, table

pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
def behind(root: Path, tmp_path: Path) -> list[str]:
    """Two batches and an ingest, of which the ledger of the workspace knows nothing any more.

    Returns who was erased.
    """
    ledger, backup = root / ".expunge/ledger.db", tmp_path / "yesterday.db"
    shutil.copyfile(ledger, backup)
    with open_line(root) as line:
        first, second = people_in(line, "T", 3)[:2], people_in(line, "T", 3)[2:]
        file(line, *first)
        run(line)
        more = tmp_path / "more.parquet"
        pq.write_table(table(range(PEOPLE, PEOPLE + 3)), more)
        ingest(line, "small", more)
        file(line, *second, first=9)
        run(line)
    for leftover in root.glob(".expunge/ledger.db-*"):
        leftover.unlink()
    shutil.copyfile(backup, ledger)
    return [*first, *second]


def test_nothing_goes_on_from_a_ledger_that_has_forgotten_an_erasure(
    root: Path, behind: list[str], tmp_path: Path
) -> None:
    rows = tmp_path / "rows.parquet"
    pq.write_table(table(range(PEOPLE)), rows)
    with open_line(root) as line:
        file(line, *people_in(line, "T", 1))
        for attempt in (
            lambda: run(line),
            lambda: ingest(line, "small", rows),
            lambda: train(line, "small-mlp"),
            lambda: adopt(line, "small-mlp"),
        ):
            with pytest.raises(LedgerBehindError, match=r"3 version\(s\) of 'small'") as refused:
                attempt()
            assert "expunge catch-up small" in refused.value.fix
        assert line.ledger.batches("small") == ()


def test_it_learns_from_git_who_was_erased_and_they_stay_erased(
    root: Path, behind: list[str], tmp_path: Path
) -> None:
    erased = behind
    with open_line(root) as line:
        again = file(line, erased[0])
        learned = catch_up(line, "small")
        assert (learned.versions, learned.people, learned.filed) == (3, 3, 2)
        assert catch_up(line, "small").versions == 0
        kinds = [version.kind for version in line.ledger.versions("small")]
        assert kinds == ["ingest", "erasure", "ingest", "erasure"]
        assert line.ledger.suppressed("small").contains(erased) == set(erased)

        with pytest.raises(TerminalError, match="was not made by expunge") as unknown:
            run(line)
        assert "expunge train small-mlp" in unknown.value.fix
        train(line, "small-mlp")
        assert states(line, again) == ["completed"]
        assert {batch.state for batch in line.ledger.batches("small")} == {"finished"}

        late = file(line, erased[1], first=5)
        run(line)
        assert states(line, late) == ["already_erased"]

        rows = tmp_path / "all.parquet"
        pq.write_table(table(range(PEOPLE)), rows)
        assert ingest(line, "small", rows).suppressed == len(erased) * ROWS
        spec = line.workspace.dataset("small")
        key = line.workspace.keys.placement("small")
        assert look_up(line.store(spec), key, erased) == {}


def test_killed_on_the_way_it_goes_on_when_called_again(
    root: Path, behind: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import expunge.line.catchup as module

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with open_line(root) as line:
        for station in ("stage", "validate", "publish"):
            with monkeypatch.context() as patch:
                patch.setattr(module, station, killed)
                with pytest.raises(KeyboardInterrupt):
                    catch_up(line, "small")
        assert catch_up(line, "small").versions == 3
        assert line.ledger.suppressed("small").contains(behind) == set(behind)
        assert not list(line.workspace.state("scratch").rglob("*.parquet"))


def test_a_ledger_that_knows_everything_has_nothing_to_learn(root: Path) -> None:
    with open_line(root) as line:
        learned = catch_up(line, "small")
        assert (learned.versions, learned.people, learned.filed) == (0, 0, 0)
        list(line.ledger.file([Filing("a", "b", "c", "gdpr", None, ("small",))]))
        assert catch_up(line, "small").filed == 0
