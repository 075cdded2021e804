"""What a million requests cost: to import, to claim, to look at.

    .venv/bin/python -m benchmarks.requests [--requests 1000000] [--claim 100000] [--repeats 3]
        [--backlog 100000] [--postgres 100000] [--json FILE]

The import is that of `expunge request import`, from a CSV in which one line in 50 comes twice, one
in 1,000 conflicts with an earlier one, and one in 1,000 is faulty. Each is done in a fresh process;
memory is its highest. Seconds are those of the clock and of the processor, which a machine that
does other work gives more slowly: the limits are of the clock on a machine that does not.

The baseline writes the same tuples into the same tables with the same indexes by `executemany` of
Python's sqlite3, 10,000 requests a transaction, and does nothing else. The physical limit is to
read and parse the CSV and to compute one HMAC a row.

The last table is what people and the scheduler do with a backlog, by the command line in a
workspace of its own, beside the same command on an empty ledger.
"""

from __future__ import annotations

import argparse
import csv
import hmac
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.measured import Clock, Cost, machine, own_process, ratios, spread, write_json
from benchmarks.memory import highest_mb
from expunge.cli.imports import file_all
from expunge.keys import KeyRing
from expunge.requests import Ledger
from expunge.requests.intake import read_requests
from expunge.workspace import init_workspace
from tests.postgres import running_server

SECONDS_LIMIT, MEMORY_LIMIT_MB, CLAIM_LIMIT, LOOK_LIMIT = 60.0, 300.0, 10.0, 1.0
DATASET = "digits"
_COLUMNS = ("id", "subject_id", "received_at", "regulation", "dataset")
_START = datetime(2026, 1, 1, tzinfo=UTC)
_TRANSACTION = 10_000
_TABLES = ("requests", "targets", "vault", "events")


@dataclass(frozen=True)
class Done:
    """A step in a process of its own: what it cost, the process's highest MB, what it counted."""

    cost: Cost
    mb: float
    counted: dict[str, int]


def write_csv(path: Path, requests: int) -> dict[str, int]:
    """A file of so many different requests; returns how many lines there are of each kind."""
    draw, kinds = Random(7), Counter[str]()
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        for number in range(requests):
            for kind, line in _lines(number, draw):
                writer.writerow(line)
                kinds[kind] += 1
    return dict(kinds)


def _lines(number: int, draw: Random) -> Iterator[tuple[str, Sequence[str]]]:
    at = (_START + timedelta(seconds=7 * number)).isoformat()
    person = f"user-{draw.getrandbits(48):012x}@example.com"
    line = (f"req-{number}", person, at, "ccpa" if number % 3 else "gdpr", DATASET)
    yield "accepted", line
    if number % 50 == 0:
        yield "duplicates", line
    if number % 1_000 == 1:
        yield "conflicts", (line[0], "somebody-else", *line[2:])
    if number % 1_000 == 2:
        broken = (("", *line[1:]), (*line[:2], "yesterday", *line[3:]), line[:3])
        yield "rejected", broken[number // 1_000 % 3]


def import_file(path: Path, url: str, keys: Path) -> Done:
    """What `expunge request import` does with the file."""
    entries = read_requests(path, source="portal", regulation="gdpr", datasets=(DATASET,))
    with Clock() as clock, Ledger.open(url, KeyRing(keys)) as ledger:
        found = file_all(ledger, entries, {DATASET}, lambda _: None)
    counted = {"accepted": found.accepted, "duplicates": found.duplicates}
    counted |= {"conflicts": len(found.conflicts), "rejected": len(found.rejected)}
    return Done(clock.cost, highest_mb(), counted)


def claim_batch(url: str, keys: Path, limit: int) -> Done:
    """Claim a batch, and read its people back, as the claim station does."""
    with (
        Ledger.open(url, KeyRing(keys)) as ledger,
        ledger.lock(DATASET, 3_600) as fence,
        Clock() as clock,
    ):
        batch = ledger.claim(fence, champions={"model": "1"}, limit=limit)
        claims = ledger.claims(batch.id) if batch else ()
    return Done(clock.cost, highest_mb(), {"claimed": len(claims)})


def bare(imported: Path, folder: Path) -> Done:
    """The tuples of an imported ledger by `executemany` into an empty one; only that is timed."""
    fresh = folder / "bare.db"
    fresh.unlink(missing_ok=True)
    with closing(sqlite3.connect(imported)) as source, closing(sqlite3.connect(fresh)) as into:
        for (statement,) in source.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL"):
            into.execute(statement)
        into.execute("PRAGMA journal_mode = WAL")
        into.execute("PRAGMA synchronous = FULL")
        into.execute("PRAGMA cache_size = -65536")
        costs = [_write(into, rows) for rows in _transactions(source)]
        counted = {"requests": into.execute("SELECT count(*) FROM requests").fetchone()[0]}
    total = Cost(sum(each.seconds for each in costs), sum(each.cpu for each in costs))
    return Done(total, highest_mb(), counted)


def _write(into: sqlite3.Connection, rows: dict[str, list[tuple[Any, ...]]]) -> Cost:
    with Clock() as clock, into:
        for table, found in rows.items():
            marks = ", ".join("?" * len(found[0]))
            into.executemany(f"INSERT INTO {table} VALUES ({marks})", found)
    return clock.cost


def _transactions(source: sqlite3.Connection) -> Iterator[dict[str, list[tuple[Any, ...]]]]:
    orders = {
        "requests": "SELECT r.* FROM targets t JOIN requests r ON r.id = request_id ORDER BY t.id",
        "targets": "SELECT * FROM targets ORDER BY id",
        "vault": "SELECT * FROM vault ORDER BY target_id",
        "events": "SELECT * FROM events WHERE kind = 'received' ORDER BY seq",
    }
    cursors = {table: source.execute(orders[table]) for table in _TABLES}
    while True:
        rows = {table: cursor.fetchmany(_TRANSACTION) for table, cursor in cursors.items()}
        if not rows["requests"]:
            return
        rows["requests"].sort()  # as the import does: the primary key's pages are then written once
        yield rows


def parse_and_hash(path: Path) -> Done:
    """Read and parse the file, one HMAC a row."""
    key = os.urandom(32)
    with Clock() as clock, path.open(newline="", encoding="utf-8") as file:
        rows = 0
        for row in csv.reader(file):
            hmac.digest(key, row[1].encode(), "sha256").hex()
            rows += 1
    return Done(clock.cost, highest_mb(), {"rows": rows})


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--claim", type=int, default=100_000)
    parser.add_argument("--backlog", type=int, default=100_000)
    parser.add_argument("--postgres", type=int, default=100_000, help="requests; 0 for none")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args(arguments)
    found: dict[str, Any] = {"machine": machine()}
    with TemporaryDirectory() as folder:
        found["sqlite"] = _sqlite(Path(folder), asked)
        if asked.postgres:
            found["postgres"] = _postgres(Path(folder), asked)
        if asked.backlog:
            found["backlog"] = _backlog(Path(folder), asked)
    write_json(asked.json, found)


def _sqlite(folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    path = folder / "requests.csv"
    kinds = write_csv(path, asked.requests)
    size = path.stat().st_size / 1e6
    print(f"{asked.requests:,} requests in a CSV of {sum(kinds.values()):,} lines, {size:.0f} MB")
    steps: dict[str, list[Done]] = {name: [] for name in ("import", "claim", "bare", "limit")}
    for at in range(asked.repeats):
        home = folder / f"sqlite-{at}"
        home.mkdir()
        ledger, keys = home / "ledger.db", home / "keys"
        steps["limit"].append(_alone(parse_and_hash, path))
        steps["import"].append(_alone(import_file, path, f"sqlite:///{ledger}", keys))
        steps["bare"].append(_alone(bare, ledger, home))
        steps["claim"].append(_alone(claim_batch, f"sqlite:///{ledger}", keys, asked.claim))
        (home / "bare.db").unlink()
        ledger.unlink()
    right = all(each.counted == kinds for each in steps["import"])
    print(f"accepted, duplicates, conflicts and faulty lines as they were made: {_yes(right)}\n")
    _table(asked, steps)
    return _told(steps)


def _table(asked: argparse.Namespace, steps: dict[str, list[Done]]) -> None:
    print("| SQLite | s | processor s | of the baseline's | of the limit's | highest MB |")
    print("|---|---|---|---|---|---|")
    names = {
        "import": f"import of {asked.requests:,}",
        "bare": "baseline: bare executemany",
        "limit": "limit: parse, one HMAC a row",
        "claim": f"claim of {asked.claim:,}",
    }
    for step, name in names.items():
        beside = ["–", "–"]
        if step != "claim":
            beside = [
                spread(ratios(_cpu(steps[step]), _cpu(steps[other])), 2)
                for other in ("bare", "limit")
            ]
        print(f"| {name} | {_figures(steps[step], beside)} |")
    print(
        f"\nof an idle machine's clock: import {SECONDS_LIMIT:.0f} s and {MEMORY_LIMIT_MB:.0f} MB, "
        f"claim {CLAIM_LIMIT:.0f} s at most\n"
    )


def _figures(done: Sequence[Done], beside: Sequence[str]) -> str:
    clock = spread([each.cost.seconds for each in done])
    cells = [clock, spread(_cpu(done)), *beside, f"{max(each.mb for each in done):.0f}"]
    return " | ".join(cells)


def _cpu(done: Sequence[Done]) -> list[float]:
    return [each.cost.cpu for each in done]


def _postgres(folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    path = folder / "postgres.csv"
    write_csv(path, asked.postgres)
    with running_server() as server, server.database() as url:
        done = {
            "import": [_alone(import_file, path, url, folder / "postgres-keys")],
            "claim": [_alone(claim_batch, url, folder / "postgres-keys", asked.claim)],
        }
    print("| PostgreSQL | s | processor s, without the server's | highest MB |\n|---|---|---|---|")
    for step, each in done.items():
        count = min(asked.claim, asked.postgres) if step == "claim" else asked.postgres
        print(f"| {step} of {count:,} | {_figures(each, [])} |")
    print()
    return _told(done)


def _backlog(folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    path, full, empty = folder / "backlog.csv", folder / "full", folder / "empty"
    write_csv(path, asked.backlog)
    for root in (full, empty):
        init_workspace(root)
    workspace = init_workspace(full)
    url = workspace.settings.ledger.url.get_secret_value()
    _alone(import_file, path, url, workspace.keys.folder)
    commands = {
        "expunge status": ["status"],
        "expunge request list": ["request", "list"],
        "expunge request list --state pending --dataset digits": [
            *("request", "list", "--state", "pending", "--dataset", DATASET)
        ],
    }
    print(f"| {asked.backlog:,} pending | s | processor s | of an empty ledger's |")
    print("|---|---|---|---|")
    told: dict[str, Any] = {}
    for name, words in commands.items():
        costs = {
            root: [_command(root, words) for _ in range(asked.repeats)] for root in (full, empty)
        }
        busy, idle = costs[full], costs[empty]
        ratio = spread(ratios([each.cpu for each in busy], [each.cpu for each in idle]), 2)
        _row(name, busy, ratio)
        told[name] = {"full": [vars(each) for each in busy], "empty": [vars(each) for each in idle]}
    steps: dict[str, Callable[[], Cost]] = {
        "the ledger's part of status": lambda: _alone(_look, url, workspace.keys.folder),
        "claim of 1,000": lambda: _alone(claim_batch, url, workspace.keys.folder, 1_000).cost,
    }
    for name, step in steps.items():
        costs_of = [step()] if name.startswith("claim") else [step() for _ in range(asked.repeats)]
        _row(name, costs_of, "–")
        told[name] = [vars(each) for each in costs_of]
    print(f"\nlimit of an idle machine's clock: {LOOK_LIMIT:.0f} s each, beyond an empty ledger's")
    return told


def _row(name: str, costs: Sequence[Cost], beside: str) -> None:
    clock, cpu = (
        spread([each.seconds for each in costs], 2),
        spread([each.cpu for each in costs], 2),
    )
    print(f"| {name} | {clock} | {cpu} | {beside} |", flush=True)


def _look(url: str, keys: Path) -> Cost:
    with Ledger.open(url, KeyRing(keys)) as ledger, Clock() as clock:
        ledger.status()
    return clock.cost


def _command(root: Path, words: Sequence[str]) -> Cost:
    """Run the command line, with its start."""
    with Clock() as clock:
        command = [sys.executable, "-m", "expunge.cli", *words, "--workspace", str(root)]
        subprocess.run(command, check=True, capture_output=True)
    return clock.cost


def _alone(call: Callable[..., Any], *arguments: Any) -> Any:
    with own_process() as process:
        return process.submit(call, *arguments).result()


def _told(steps: dict[str, list[Done]]) -> dict[str, Any]:
    return {
        name: [
            {"seconds": each.cost.seconds, "cpu": each.cost.cpu, "mb": each.mb, **each.counted}
            for each in done
        ]
        for name, done in steps.items()
    }


def _yes(right: bool) -> str:
    return "yes" if right else "NO"


if __name__ == "__main__":
    main()
