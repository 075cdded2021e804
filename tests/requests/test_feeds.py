"""The place in a table moves with the requests of its chunk, and never ahead of them."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace

import pytest
import sqlalchemy as sa

from expunge.requests import Feed, Filing, LedgerConflictError
from expunge.requests.intake import Defaults, TableSource, read_table
from tests.requests.conftest import World

FEED = Feed("crm", "deletion_requests", "id")
CHILD = """
import os, signal, sys
from pathlib import Path
from expunge.keys import KeyRing
from expunge.requests import Feed, Ledger, feeds, filing
from expunge.requests.intake import Defaults, TableSource, read_table

ledger_url, keys, source_url, moment = sys.argv[1:]
filing.CHUNK, calls, advance = 10, 0, feeds.advance

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def dying(*arguments):
    global calls
    calls += 1
    if calls == 3 and moment == "before the place":
        die()
    advance(*arguments)
    if calls == 3 and moment == "before the commit":
        die()

feeds.advance = dying
feed = Feed("crm", "deletion_requests", "id")
rows = read_table(
    TableSource(source_url, "deletion_requests", "id"), Defaults("crm", "gdpr", ("digits",)), None
)
with Ledger.open(ledger_url, KeyRing(Path(keys))) as ledger:
    for number, _ in enumerate(ledger.file(rows, feed), start=1):
        if number == 21 and moment == "after the commit":
            die()
"""


def filing(number: int, position: int | None) -> Filing:
    return Filing("crm", str(number), f"p{number}", "gdpr", None, ("digits",), position=position)


def place(world: World) -> object:
    return world.ledger.feed(FEED).position


def test_the_place_is_the_last_one_of_the_chunk(world: World) -> None:
    assert place(world) is None
    assert len(list(world.ledger.file([filing(1, 4), filing(2, 9), filing(3, None)], FEED))) == 3
    assert place(world) == 9
    list(world.ledger.file([filing(4, None)], FEED))
    assert place(world) == 9
    assert world.kinds() == ["received"] * 3 + ["feed_read"] + ["received"]


def test_reading_the_same_again_moves_nothing(world: World) -> None:
    list(world.ledger.file([filing(1, 4)], FEED))
    before = world.kinds()
    assert [done.outcome for done in world.ledger.file([filing(1, 4)], FEED)] == ["duplicate"]
    assert world.kinds() == before


@pytest.mark.parametrize("change", [{"table": "other"}, {"cursor_column": "at"}])
def test_a_name_stands_for_one_table_and_column(world: World, change: dict[str, str]) -> None:
    list(world.ledger.file([filing(1, 4)], FEED))
    other = replace(FEED, **change)
    with pytest.raises(LedgerConflictError, match="'deletion_requests' by column 'id'"):
        world.ledger.feed(other)
    with pytest.raises(LedgerConflictError):
        list(world.ledger.file([filing(2, 5)], other))
    assert len(list(world.ledger.requests())) == 1
    assert place(world) == 4


@pytest.mark.parametrize("moment", ["before the place", "before the commit", "after the commit"])
def test_a_killed_read_neither_loses_nor_doubles(
    world: World, tmp_path_factory: pytest.TempPathFactory, moment: str
) -> None:
    url = f"sqlite:///{tmp_path_factory.mktemp('team') / 'team.db'}"
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE deletion_requests (id INTEGER, subject_id TEXT)")
        rows = [(number, f"p{number}") for number in range(1, 46)]
        connection.exec_driver_sql("INSERT INTO deletion_requests VALUES (?, ?)", rows)
    arguments = [world.url, str(world.keys.folder), url, moment]
    done = subprocess.run([sys.executable, "-c", CHILD, *arguments], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    filed = 30 if moment == "after the commit" else 20
    assert len(list(world.ledger.requests())) == filed
    feed = world.ledger.feed(FEED)
    assert int(feed.position or 0) == filed
    source = TableSource(url, "deletion_requests", "id")
    entries = read_table(source, Defaults("crm", "gdpr", ("digits",)), feed.position)
    filings = [each for each in entries if isinstance(each, Filing)]
    outcomes = [each.outcome for each in world.ledger.file(filings, feed)]
    assert outcomes == ["duplicate"] + ["accepted"] * (45 - filed)
    assert {each.external_id for each in world.ledger.requests()} == {str(n) for n, _ in rows}
    assert place(world) == 45
