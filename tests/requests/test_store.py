"""The database: schema, first open, append-only history, and no subject in its bytes."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from expunge.errors import TerminalError
from expunge.keys import KeyRing
from expunge.requests import Filing, Ledger, LedgerForbiddenError, LedgerUnavailableError, store
from expunge.requests.migrations.upgrade import HEAD, alembic_config
from expunge.requests.schema import metadata
from tests.postgres import Server
from tests.requests.conftest import World

OPEN = """
import sys
from pathlib import Path
from expunge.keys import KeyRing
from expunge.requests import Filing, Ledger
sys.stdin.readline()
with Ledger.open(sys.argv[1], KeyRing(Path(sys.argv[2]))) as ledger:
    filing = Filing("s", sys.argv[3], "p", "gdpr", None, ("digits",))
    print([done.outcome for done in ledger.file([filing])])
"""


def test_two_processes_may_open_a_fresh_ledger_at_once(blank_url: str, keys: KeyRing) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, blank_url, str(keys.folder), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    done = [process.communicate("go\n", timeout=60) for process in processes]
    assert [out for out, _ in done] == ["['accepted']\n"] * 2, [err for _, err in done]
    with Ledger.open(blank_url, keys) as ledger:
        assert [event.seq for event in ledger.events()] == [1, 2]


def test_the_migrations_make_exactly_the_schema(world: World) -> None:
    engine = sa.create_engine(world.owner)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_the_newest_step_is_the_one_that_open_looks_for() -> None:
    assert ScriptDirectory.from_config(alembic_config()).get_current_head() == HEAD


def test_a_ledger_of_a_newer_expunge_is_refused(world: World) -> None:
    engine = sa.create_engine(world.owner)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    engine.dispose()
    with pytest.raises(TerminalError, match="schema 9999"):
        Ledger.open(world.url, world.keys)


@pytest.mark.parametrize("change", ["UPDATE events SET kind = 'x'", "DELETE FROM events"])
def test_events_can_only_be_appended(world: World, change: str) -> None:
    world.file("a")
    engine = sa.create_engine(world.owner)
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), engine.begin() as connection:
        connection.exec_driver_sql(change)
    engine.dispose()
    assert world.kinds() == ["received"]


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE events SET kind = 'x'",
        "DELETE FROM qualifications",
        "DELETE FROM requests",
        "TRUNCATE vault",
        "DROP TRIGGER events_append_only ON events",
        "UPDATE alembic_version SET version_num = '0001'",
        "CREATE TABLE mine (x int)",
    ],
)
def test_the_role_that_runs_batches_cannot_change_history_or_tables(
    world: World, change: str
) -> None:
    world.file("a")
    engine = sa.create_engine(world.url)
    refused = pytest.raises(sa.exc.ProgrammingError, match=r"permission denied|must be owner")
    with refused, engine.begin() as connection:
        connection.exec_driver_sql(change)
    engine.dispose()


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_a_migration_by_a_role_that_may_not_is_refused_and_says_who_may(
    world: World, postgres: Server
) -> None:
    refused = pytest.raises(LedgerForbiddenError, match="permission denied")
    with postgres.database() as blank, refused as caught:
        Ledger.open(blank.replace("//tester@", "//expunge@"), world.keys)
    assert "owns the ledger's tables" in caught.value.fix


def test_a_write_that_fails_half_way_leaves_nothing(world: World) -> None:
    """The events are a claim's last step: without their table it has claimed nothing."""
    world.file("a")
    engine = sa.create_engine(world.owner)
    with world.ledger.lock("digits") as fence:
        with engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE events RENAME TO hidden")
        with pytest.raises((sa.exc.ProgrammingError, LedgerUnavailableError)):
            world.claim(fence)
        with engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE hidden RENAME TO events")
    engine.dispose()
    assert world.ledger.batches() == ()
    assert world.states() == ["pending"]
    assert world.kinds() == ["received"]


def test_no_subject_is_in_the_bytes_of_the_database(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    url, person = f"sqlite:///{file}", "subject-4711-zebra"
    with Ledger.open(url, KeyRing(tmp_path / "keys")) as ledger:
        world = World(url, KeyRing(tmp_path / "keys"), lambda: datetime.now(UTC), ledger)  # type: ignore[arg-type]
        world.file(person, person, "other")
        with ledger.lock("digits") as fence:
            world.ingest(fence)
            batch = world.claim(fence)
            held, _, gone = ledger.claims(batch.id)
            assert held.subject_id == person
            ledger.dispose(fence, batch.id, [gone.target_id], {}, {held.target_id: 4})
            world.erase(fence, batch.id)
            ledger.record_ingest(
                fence, dataset="digits", md5="control-zebra", commit="c", ingest=2, rows=1, shards=1
            )
        stored = b"".join(path.read_bytes() for path in tmp_path.glob("ledger.db*"))
    assert b"control-zebra" in stored
    assert held.subject_ref.encode() in stored
    assert person.encode() not in stored


def test_the_file_is_its_owners_only_and_in_wal_mode(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "ledger.db"
    Ledger.open(f"sqlite:///{file}", KeyRing(tmp_path / "keys")).close()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with sa.create_engine(f"sqlite:///{file}").connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


@pytest.mark.parametrize("url", ["sqlite://", "mysql://u:hidden@h/d", "not a url:hidden"])
def test_an_impossible_url_is_refused_without_its_password(url: str, tmp_path: Path) -> None:
    with pytest.raises(TerminalError) as refused:
        Ledger.open(url, KeyRing(tmp_path))
    assert "hidden" not in str(refused.value)


def test_an_unreachable_server_is_transient(tmp_path: Path) -> None:
    with pytest.raises(LedgerUnavailableError):
        Ledger.open("postgresql://nobody:hidden@127.0.0.1:1/none", KeyRing(tmp_path))


def test_a_process_stopped_within_a_transaction_does_not_keep_others_waiting(
    url: str, backend: str, keys: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL ends what the stopped one had begun; with SQLite the others are told."""
    monkeypatch.setattr(store, "_BUSY_MS", 300 if backend == "sqlite" else 60_000)
    monkeypatch.setattr(store, "_IDLE_MS", 300)
    with Ledger.open(url, keys) as stopped, Ledger.open(url, keys) as other:
        if backend == "sqlite":
            with stopped._store.write(), pytest.raises(LedgerUnavailableError), other.lock("d"):
                pass
            return
        with pytest.raises(LedgerUnavailableError), stopped._store.write() as connection:
            with other.lock("d"):
                pass
            connection.execute(sa.text("SELECT 1"))


def test_the_history_has_no_gaps_and_reads_page_by_page(world: World) -> None:
    world.file(*(f"p{number}" for number in range(7)))
    with world.ledger.lock("digits") as fence:
        batch = world.claim(fence)
    seqs = [event.seq for event in world.ledger.events()]
    assert seqs == list(range(1, 7 + 1 + 7 + 1))
    assert world.kinds(batch_id=batch.id) == ["batch_opened"] + ["claimed"] * 7
    assert all(event.at == world.clock() for event in world.ledger.events())


def test_a_second_ledger_in_a_process_leaves_the_first_one_its_locks(
    migrated_file: Path, keys: KeyRing, tmp_path: Path
) -> None:
    """SQLite's locks are the process's: whoever closes the file once drops them all.

    Then another process that closes its ledger takes itself for the last one, and removes the log
    that the first one still reads.
    """
    url = f"sqlite:///{shutil.copy(migrated_file, tmp_path / 'ledger.db')}"
    with Ledger.open(url, keys) as first:
        list(first.file([Filing("s", "0", "p", "gdpr", None, ("digits",))]))
        with Ledger.open(url, keys):
            pass
        command = [sys.executable, "-c", OPEN, url, str(keys.folder), "1"]
        subprocess.run(command, input="go\n", text=True, check=True, capture_output=True)
        assert (tmp_path / "ledger.db-wal").exists()
        assert first.status().requests == {"pending": 2}
