"""One round: requests are filed, a run meets a fault, all is started again, the checker looks."""

from __future__ import annotations

import json
import random
import re
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import sqlalchemy as sa

from expunge.requests.filing import request_id
from tests.line.small import HELD, RETRAIN
from tests.soak.checker import check
from tests.soak.faults import FAULTS
from tests.soak.findings import Findings
from tests.soak.place import PATIENCE, SPARSE, Place

TRIES = 6
SOURCE = "portal"
_TRACEBACK = re.compile(r"^Traceback \(most recent call last\)|^╭─* *Traceback", re.MULTILINE)


@dataclass
class Told:
    """What a round came to; `met` are the exit statuses of the runs that met the fault."""

    number: int
    fault: str
    unlearns: bool
    ladder: str
    filed: int = 0
    delivered: int = 0
    runs: int = 0
    met: list[int | None] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    seconds: float = 0.0
    broken: list[str] = field(default_factory=list)
    found: list[tuple[str, str]] = field(default_factory=list)
    allowed: Mapping[str, int] = field(default_factory=dict)


def play(place: Place, number: int, fault: str, seed: int) -> Told:
    """Play one round to its end."""
    draw = random.Random(f"{seed} {number} {fault}")
    unlearns = fault == "SIGKILL of the unlearning subprocess" or draw.random() < 0.5
    ladder = draw.choice(("exact", "exact", "refused first", "held")) if unlearns else "exact"
    told = Told(number, fault, unlearns, ladder)
    begun, first = time.monotonic(), place.runs
    _choose(place, ladder)
    _file(place, draw, told, unlearns)
    place.children.clear()
    with _noted(told):
        FAULTS[fault].play(place, draw, unlearns)
    told.met = [child.status for child in place.children]
    with _noted(told):
        _mend(place)
        _settle(place, told)
        if ladder == "held":
            _choose(place, "exact")
            _file(place, draw, told, unlearns)
            _settle(place, told)
    told.broken += _unclear(place, first)
    found: Findings = check(place.site, place.truth)
    told.found = [(one.kind, one.what) for one in found]
    told.allowed = dict(found.allowed)
    told.seconds = round(time.monotonic() - begun, 1)
    return told


@contextmanager
def _noted(told: Told) -> Iterator[None]:
    """A run that hangs, or outlives its parent, is a violation and not the end of the soak."""
    try:
        yield
    except AssertionError as error:
        told.broken.append(str(error))


def _choose(place: Place, ladder: str) -> None:
    """Exact retrain alone; a rung before it that the gate refuses; or nothing that can pass."""
    if ladder == "held":
        place.ladder(*HELD["ladder"], factory=HELD["factory"])  # type: ignore[misc]
    else:
        place.ladder(*([RETRAIN] if ladder == "exact" else [SPARSE, RETRAIN]))


def _file(place: Place, draw: random.Random, told: Told, unlearns: bool) -> None:
    """New people ask, in a file that is delivered whole, or cut off by a kill, or out of order.

    Each delivery may hold lines of earlier ones, and comes again.
    """
    roles = ["T"] * (1 + draw.randrange(2)) if unlearns else []
    roles += [draw.choice("ERVF") for _ in range(draw.randrange(2) if unlearns else 2)]
    people = [who for role in roles for who in place.take(role, 1)]
    if draw.random() < 0.3:
        people.append(f"person-9{told.number:03d}-of-nowhere")
    if place.filed and draw.random() < 0.3:
        people.append(draw.choice(place.filed)[1])  # once more, as another request
    begin = len(place.filed)
    new = [(f"ticket-{begin + at}", who) for at, who in enumerate(people)]
    lines = new + draw.sample(place.filed, min(len(place.filed), draw.randrange(4)))
    place.filed += new
    told.filed += len(new)
    for delivery in range(1 + (draw.random() < 0.5)):
        draw.shuffle(lines)
        file = place.folder / f"requests-{told.number}-{delivery}.jsonl"
        _write(file, lines)
        if draw.random() < 0.2:
            child = place.run("request", "import", str(file), "--source", SOURCE)
            time.sleep(draw.random() * 2)
            child.send(signal.SIGKILL)
            child.wait(PATIENCE)
        place.done("request", "import", str(file), "--source", SOURCE)
        told.delivered += len(lines)
        file.unlink()
    place.accepted |= {request_id(SOURCE, ticket): who for ticket, who in new}


def _write(file: Path, lines: list[tuple[str, str]]) -> None:
    asked = {"regulation": "gdpr", "received_at": "2026-11-01T00:00:00Z"}
    texts = [json.dumps({"id": ticket, "subject_id": who, **asked}) for ticket, who in lines]
    file.write_text("".join(f"{text}\n" for text in texts))


def _mend(place: Place) -> None:
    """Start everything again."""
    place.free_disk()
    place.servers.start()


def _settle(place: Place, told: Told) -> None:
    """`expunge run` until it ends well and leaves nothing to do."""
    for _ in range(TRIES):
        child = place.run()
        told.statuses.append(child.wait(PATIENCE))
        told.runs += 1
        if child.status == 0 and not _waiting(place):
            return
    told.broken.append(f"not settled after {TRIES} runs: {child.said[-1500:]}")


def _waiting(place: Place) -> int:
    """How many targets the next run would take."""
    engine = sa.create_engine(place.site.ledger, poolclass=sa.NullPool)
    query = "SELECT count(*) FROM targets WHERE state IN ('pending', 'claimed')"
    with engine.connect() as connection:
        return int(connection.exec_driver_sql(query).scalar_one())


def _unclear(place: Place, first: int) -> list[str]:
    """Outputs since `first` in which a person would meet a traceback in place of an error."""
    logs = [place.folder / "logs" / f"{number:04d}" for number in range(first + 1, place.runs + 1)]
    told = {log.name: log.read_text(errors="replace") for log in logs if log.exists()}
    return [
        f"traceback in {name}: {text.strip().splitlines()[-1][:300]}"
        for name, text in told.items()
        if _TRACEBACK.search(text)
    ]


def to_json(told: Told) -> str:
    """One line."""
    return json.dumps(asdict(told))
