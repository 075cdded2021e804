"""`python -m tests.soak.soak`: rounds of faults on real processes, and the table of what was found.

--rounds N     how many (default: one of each fault, as often as `faults.FAULTS` says)
--seed S       draws everything
--out FOLDER   rounds.jsonl as it goes, soak.json and soak.md at the end
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.soak.children import forked, prepare
from tests.soak.faults import FAULTS, stack
from tests.soak.place import LEASE_SECONDS, PATIENCE, Place, made
from tests.soak.rounds import Told, play, to_json
from tests.soak.servers import running
from tests.soak.table import write

PEOPLE = 420
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "EXPUNGE_LEASE_SECONDS": str(LEASE_SECONDS),
    "EXPUNGE_TASK_RETRY_DELAYS": "[0.5, 2, 5]",
}


def order(rounds: int, seed: int, *, every: bool) -> list[str]:
    """Faults of the rounds: whole cycles, each shuffled; with PostgreSQL alone those it allows."""
    draw = random.Random(seed)
    possible = {n: k for n, k in FAULTS.items() if every or k.needs == "postgres"}
    faults: list[str] = []
    while len(faults) < rounds:
        cycle = [name for name, kind in possible.items() for _ in range(kind.times)]
        draw.shuffle(cycle)
        faults += cycle
    return faults[:rounds]


def soak(
    folder: Path, faults: list[str], seed: int, people: int, out: Path, *, every: bool = True
) -> list[Told]:
    """Play a round for each fault on one site, and write each down as it ends."""
    prepare(ENVIRONMENT)
    with running(folder, every=every) as servers, made(folder, servers, people) as place:
        if any(FAULTS[fault].play is stack for fault in faults):
            _deploy(place)
        told = []
        for number, fault in enumerate(faults, start=1):
            one = play(place, number, fault, seed)
            told.append(one)
            with (out / "rounds.jsonl").open("a") as file:
                file.write(to_json(one) + "\n")
            _tell(one)
        return told


def side_by_side(
    folder: Path, faults: list[str], seed: int, people: int, out: Path, lanes: int
) -> list[Told]:
    """The rounds shared out among sites of their own, each in a thread, with PostgreSQL alone."""

    def lane(number: int) -> list[Told]:
        own = folder / f"lane-{number}"
        own.mkdir()
        return soak(own, faults[number::lanes], seed + number, people, out, every=False)

    with ThreadPoolExecutor(lanes) as pool:
        return [told for some in pool.map(lane, range(lanes)) for told in some]


def _deploy(place: Place) -> None:
    """The commands of the header of prefect.yaml, against the running server."""
    checkout = Path(__file__).resolve().parents[2]
    for words in (
        ("work-pool", "create", "cpu", "--type", "process"),
        ("work-pool", "create", "gpu", "--type", "process"),
        ("--no-prompt", "deploy", "--all"),
    ):
        child = forked(checkout, place.output(), "prefect", *words, **place.environment)
        assert child.wait(PATIENCE) == 0, child.said


def _tell(told: Told) -> None:
    bad = [*told.broken, *(f"{kind}: {what}" for kind, what in told.found)]
    said = "ok" if not bad else "; ".join(bad)
    sys.stdout.write(
        f"{told.number:3d}  {told.seconds:6.1f} s  {told.fault}, {told.ladder}"
        f"{'' if told.unlearns else ', held-out rows only'}, {told.runs} runs: {said}\n"
    )
    sys.stdout.flush()


def main() -> int:
    """Soak; 1 where anything was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    full = sum(kind.times for kind in FAULTS.values())
    parser.add_argument("--rounds", type=int, default=full)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--people", type=int, default=PEOPLE)
    parser.add_argument("--fault", action="append", choices=FAULTS)
    parser.add_argument("--out", type=Path, default=Path("build/soak"))
    parser.add_argument("--light", action="store_true", help="PostgreSQL is the only server")
    parser.add_argument("--lanes", type=int, default=1, help="with --light: sites side by side")
    parser.add_argument("--keep", action="store_true", help="keep the site's folder")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    faults = given.fault or order(given.rounds, given.seed, every=not given.light)
    folder = Path(tempfile.mkdtemp(prefix="expunge-soak-"))
    folder.chmod(0o755)
    os.environ.pop("PREFECT_API_URL", None)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        out, every = given.out.resolve(), not given.light
        if given.lanes > 1:
            told = side_by_side(folder, faults, given.seed, given.people, out, given.lanes)
        else:
            told = soak(folder, faults, given.seed, given.people, out, every=every)
    finally:
        if not given.keep:
            shutil.rmtree(folder, ignore_errors=True)
    write(told, given.out)
    sys.stdout.write((given.out / "soak.md").read_text())
    return int(any(one.broken or one.found for one in told))


if __name__ == "__main__":
    sys.exit(main())
