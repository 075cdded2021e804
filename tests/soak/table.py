"""The table of a soak: what was injected, what was checked, what was found; JSON and Markdown.

`python -m tests.soak.table FOLDER...` prints the table of the rounds of several soaks.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from tests.soak.findings import KINDS
from tests.soak.rounds import Told


def write(told: list[Told], out: Path) -> None:
    """`soak.json` and `soak.md` in `out`."""
    (out / "soak.json").write_text(json.dumps([asdict(one) for one in told], indent=1) + "\n")
    (out / "soak.md").write_text(markdown(told))


def read(folder: Path) -> list[Told]:
    """The rounds that a soak wrote down, ended or not."""
    lines = (folder / "rounds.jsonl").read_text().splitlines()
    return [Told(**json.loads(line)) for line in lines]


def markdown(told: list[Told]) -> str:
    """The faults by kind, then the sums."""
    head = (
        "injected",
        "rounds",
        "with unlearning",
        "runs that broke off",
        "runs until all was done",
    )
    lines = [f"| {' | '.join((*head, 'violations'))} |", "|---|---|---|---|---|---|"]
    for fault in sorted({one.fault for one in told}):
        of = [one for one in told if one.fault == fault]
        bad = sum(len(one.found) + len(one.broken) for one in of)
        unlearned = sum(one.unlearns for one in of)
        runs = sum(one.runs for one in of)
        broke = sum(status != 0 for one in of for status in one.met)
        lines.append(f"| {fault} | {len(of)} | {unlearned} | {broke} | {runs} | {bad} |")
    return "\n".join([*lines, "", *_sums(told)]) + "\n"


def _sums(told: list[Told]) -> list[str]:
    kinds = Counter(kind for one in told for kind, _ in one.found)
    stays: Counter[str] = Counter()
    for one in told:
        stays |= Counter(one.allowed)  # the larger of both
    rows = {
        "rounds": len(told),
        "requests filed": sum(one.filed for one in told),
        "lines delivered, with duplicates": sum(one.delivered for one in told),
        "runs after the faults": sum(one.runs for one in told),
        "median seconds of a round": sorted(one.seconds for one in told)[len(told) // 2],
        **{name: kinds[kind] for kind, name in KINDS.items()},
        "hung, tracebacks, not settled": sum(len(one.broken) for one in told),
        **{f"by design, on one site at most: {name}": stays[name] for name in sorted(stays)},
    }
    return ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())]


if __name__ == "__main__":
    sys.stdout.write(markdown([one for name in sys.argv[1:] for one in read(Path(name))]))
