"""A scheduled run: which dataset next, how long it goes on, and what it does when it comes late."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from expunge.errors import TerminalError
from expunge.line import Line, open_line, run_batch
from expunge.line.schedule import drain
from expunge.requests import Filing
from tests.line.small import DATASET, file, states

STRANGERS = [f"a person who never was there {number}" for number in range(6)]
NOW = datetime.now(UTC)


def _strangers(line: Line, received: list[datetime]) -> list[str]:
    """A request of one stranger for each time, due a month later."""
    return [
        file(line, STRANGERS[number], first=number, received=at)[0]
        for number, at in enumerate(received)
    ]


def _one(line: Line) -> Callable[[str], str | None]:
    def run(dataset: str) -> str | None:
        report = run_batch(line, dataset)
        return report.batch_id if report else None

    return run


def _bounded(line: Line, **schedule: int) -> Line:
    """The line with other bounds."""
    settings = line.workspace.settings
    changed = replace(settings, schedule=settings.schedule.model_copy(update=schedule))
    line.workspace.__dict__["settings"] = changed
    return line


def _small_batches(line: Line, most: int) -> None:
    settings = line.workspace.settings
    changed = settings.batches.model_copy(update={"max_batch": most})
    line.workspace.__dict__["settings"] = replace(settings, batches=changed)


def test_a_backlog_drains_in_order_of_deadline_until_nothing_is_pending(line: Line) -> None:
    _small_batches(line, 2)
    days = [3, 9, 1, 7, 5]
    requests = _strangers(line, [NOW - timedelta(days=each) for each in days])
    done = drain(line, ["small"], _one(line))
    assert len(done.batches["small"]) == 3
    assert (done.failed, done.busy, done.pending) == ({}, [], {})
    assert states(line, requests) == ["no_match"] * 5
    claimed = [e.request_id for e in line.ledger.events(dataset="small") if e.kind == "claimed"]
    assert claimed == [requests[days.index(each)] for each in (9, 7, 5, 3, 1)]


def test_a_run_ends_at_the_bounds_of_the_settings_and_tells_what_it_leaves(line: Line) -> None:
    _small_batches(line, 1)
    _bounded(line, batches=2)
    _strangers(line, [NOW - timedelta(days=each) for each in range(4)])
    done = drain(line, ["small"], _one(line))
    assert (len(done.batches["small"]), done.pending) == (2, {"small": 2})
    _bounded(line, hours=0)
    assert drain(line, ["small"], _one(line)).batches == {}


def test_only_a_near_deadline_or_an_unfinished_batch_is_pressing(line: Line) -> None:
    _strangers(line, [NOW])
    seen: list[str] = []
    assert drain(line, ["small"], seen.append, only_pressing=True).batches == {}
    assert seen == []
    _bounded(line, urgent_days=40)
    drain(line, ["small"], seen.append, only_pressing=True)
    assert seen == ["small"]
    _bounded(line, urgent_days=0)
    with line.lock("small") as fence:
        line.ledger.claim(fence, champions={}, limit=1)
    drain(line, ["small"], seen.append, only_pressing=True)
    assert seen == ["small", "small"]


def test_the_dataset_whose_deadline_is_nearest_comes_first_and_a_failed_one_keeps_no_other(
    line: Line,
) -> None:
    root = line.workspace.root
    (root / "data/other.yaml").write_text(yaml.safe_dump({**DATASET, "name": "other"}))
    shutil.copyfile(
        line.workspace.settings.folders.keys / "placement-small.key",
        line.workspace.settings.folders.keys / "placement-other.key",
    )
    _strangers(line, [NOW])
    early = Filing("portal", "early", STRANGERS[0], "gdpr", NOW - timedelta(days=9), ("other",))
    list(line.ledger.file([early]))
    seen: list[str] = []

    def fails(name: str) -> str | None:
        seen.append(name)
        raise TerminalError("no", fix="mend it")

    done = drain(line, ["small", "other"], fails)
    assert seen == ["other", "small"]
    assert [*done.failed] == ["other", "small"]


def test_a_run_beside_another_or_after_it_does_nothing(line: Line) -> None:
    requests = _strangers(line, [NOW])
    with open_line(line.workspace.root) as other, other.lock("small"):
        done = drain(line, ["small"], pytest.fail)
    assert (done.busy, done.batches) == (["small"], {})
    assert drain(line, ["small"], _one(line)).batches
    assert drain(line, ["small"], pytest.fail).batches == {}
    assert states(line, requests) == ["no_match"]
