"""The table of a soak: what was injected, what was checked, what was found; JSON and Markdown."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from tests.soak.findings import KINDS
from tests.soak.rounds import Told


def write(told: list[Told], seed: int, out: Path) -> None:
    """`soak.json` and `soak.md` in `out`."""
    (out / "soak.json").write_text(json.dumps([asdict(one) for one in told], indent=1) + "\n")
    (out / "soak.md").write_text(markdown(told, seed))


def markdown(told: list[Told], seed: int) -> str:
    """The faults by kind, then the sums."""
    lines = ["| injected | rounds | with unlearning | runs until all was done | violations |"]
    lines += ["|---|---|---|---|---|"]
    for fault in dict.fromkeys(sorted(one.fault for one in told)):
        of = [one for one in told if one.fault == fault]
        bad = sum(len(one.found) + len(one.broken) for one in of)
        unlearned = sum(one.unlearns for one in of)
        runs = sum(one.runs for one in of)
        lines.append(f"| {fault} | {len(of)} | {unlearned} | {runs} | {bad} |")
    return "\n".join([*lines, "", *_sums(told, seed)]) + "\n"


def _sums(told: list[Told], seed: int) -> list[str]:
    kinds = Counter(kind for one in told for kind, _ in one.found)
    rows = {
        "rounds": len(told),
        "seed": seed,
        "requests filed": sum(one.filed for one in told),
        "lines delivered, with duplicates": sum(one.delivered for one in told),
        "runs after the faults": sum(one.runs for one in told),
        "median seconds of a round": sorted(one.seconds for one in told)[len(told) // 2],
        **{name: kinds[kind] for kind, name in KINDS.items()},
        "runs that hung, tracebacks, rounds not settled": sum(len(one.broken) for one in told),
        **{
            f"by design: {name}": count
            for name, count in (told[-1].allowed if told else {}).items()
        },
    }
    return ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())]
