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
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.soak.children import forked, prepare
from tests.soak.faults import FAULTS
from tests.soak.place import LEASE_SECONDS, PATIENCE, Place, made
from tests.soak.rounds import Told, play, to_json
from tests.soak.servers import Servers, running
from tests.soak.table import write

PEOPLE = 420


def order(rounds: int, seed: int) -> list[str]:
    """Faults of the rounds: whole cycles, each shuffled."""
    draw = random.Random(seed)
    faults: list[str] = []
    while len(faults) < rounds:
        cycle = [name for name, (_, times) in FAULTS.items() for _ in range(times)]
        draw.shuffle(cycle)
        faults += cycle
    return faults[:rounds]


def soak(folder: Path, faults: list[str], seed: int, people: int, out: Path) -> list[Told]:
    """Play a round for each fault on one site, and write each down as it ends."""
    with ExitStack() as stack:
        servers = stack.enter_context(running(folder))
        (folder / "tmp").mkdir(exist_ok=True)
        prepare(
            {
                **servers.environment,
                "TMPDIR": str(folder / "tmp"),
                "OMP_NUM_THREADS": "1",
                "EXPUNGE_LEASE_SECONDS": str(LEASE_SECONDS),
                "EXPUNGE_TASK_RETRY_DELAYS": "[0.5, 2, 5]",
                "PREFECT_HOME": str(folder / "prefect-client"),
            }
        )
        place = stack.enter_context(made(folder, servers, people))
        if any("worker" in fault for fault in faults):
            _deploy(place, servers)
        told = []
        for number, fault in enumerate(faults, start=1):
            one = play(place, number, fault, seed)
            told.append(one)
            with (out / "rounds.jsonl").open("a") as file:
                file.write(to_json(one) + "\n")
            _tell(one)
        return told


def _deploy(place: Place, servers: Servers) -> None:
    """The commands of the header of prefect.yaml, against the running server."""
    checkout = Path(__file__).resolve().parents[2]
    for words in (
        ("work-pool", "create", "cpu", "--type", "process"),
        ("work-pool", "create", "gpu", "--type", "process"),
        ("--no-prompt", "deploy", "--all"),
    ):
        child = forked(checkout, place.output(), "prefect", *words)
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
    parser.add_argument("--rounds", type=int, default=sum(times for _, times in FAULTS.values()))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--people", type=int, default=PEOPLE)
    parser.add_argument("--fault", action="append", choices=FAULTS)
    parser.add_argument("--out", type=Path, default=Path("build/soak"))
    parser.add_argument("--keep", action="store_true", help="keep the site's folder")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    faults = given.fault or order(given.rounds, given.seed)
    folder = Path(tempfile.mkdtemp(prefix="expunge-soak-"))
    folder.chmod(0o755)
    os.environ.pop("PREFECT_API_URL", None)
    try:
        told = soak(folder, faults, given.seed, given.people, given.out.resolve())
    finally:
        if not given.keep:
            shutil.rmtree(folder, ignore_errors=True)
    write(told, given.seed, given.out)
    sys.stdout.write((given.out / "soak.md").read_text())
    return int(any(one.broken or one.found for one in told))


if __name__ == "__main__":
    sys.exit(main())
