"""Schedule: what a scheduled run does with a backlog, batch after batch, nearest deadline first.

A scheduled run goes on until nothing waits, or until the bounds of the settings. One that comes
late, or beside another, finds nothing to do or the dataset's lock taken, and ends: so schedules
that were missed are made up for by one run, however many were missed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from expunge.errors import ExpungeError
from expunge.line.approve import is_near, only_waits
from expunge.line.context import Line
from expunge.line.reporting import owed_reports
from expunge.requests import Backlog, DatasetLockedError

_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass
class Drained:
    """What a scheduled run did: batches and errors by dataset, and what it leaves pending.

    `busy`: datasets that another run is at work on.
    """

    batches: dict[str, list[str]] = field(default_factory=dict)
    failed: dict[str, ExpungeError] = field(default_factory=dict)
    busy: list[str] = field(default_factory=list)
    pending: dict[str, int] = field(default_factory=dict)


def drain(
    line: Line,
    datasets: Iterable[str],
    run: Callable[[str], str | None],
    *,
    only_pressing: bool = False,
) -> Drained:
    """Let `run` make batches of the datasets, nearest deadline first, until nothing is to be done.

    `run` takes a dataset and gives the id of its batch, or None where nothing was claimed. With
    `only_pressing`, only of datasets where a deadline is near or a batch was left unfinished. A
    dataset that failed, or whose batch has to wait, is not tried again in this run.
    """
    bounds, started = line.workspace.settings.schedule, time.monotonic()
    names, done = list(datasets), Drained()
    for _ in range(bounds.batches):
        if time.monotonic() - started > bounds.hours * 3600:
            break
        chosen = _next(line, names, only_pressing=only_pressing)
        if chosen is None:
            break
        if not _one(line, chosen, run, done):
            names.remove(chosen)
    left = {name: line.ledger.backlog(name).pending for name in done.batches}
    done.pending = {name: count for name, count in left.items() if count}
    return done


def pressing(line: Line, found: Backlog) -> bool:
    """Whether a dataset cannot wait for the night.

    A deadline is near, or a batch is unfinished, unless all that it waits for is people's answers.
    """
    unfinished = found.open_batch
    return is_near(line, found) or (unfinished is not None and not only_waits(line, unfinished))


def _one(line: Line, dataset: str, run: Callable[[str], str | None], done: Drained) -> bool:
    """Run one batch; whether the dataset may have another one."""
    if line.ledger.backlog(dataset).busy:
        done.busy.append(dataset)
        return False
    try:
        batch_id = run(dataset)
    except DatasetLockedError:  # taken since we looked
        done.busy.append(dataset)
        return False
    except ExpungeError as error:
        done.failed[dataset] = error
        return False
    if batch_id is None:
        return False
    done.batches.setdefault(dataset, []).append(batch_id)
    return line.ledger.batch(batch_id).state == "finished"


def _next(line: Line, datasets: Iterable[str], *, only_pressing: bool) -> str | None:
    """The dataset with the nearest deadline among those where something is to be done."""
    waiting = []
    for name in datasets:
        found = line.ledger.backlog(name)
        wanted = pressing(line, found) if only_pressing else _anything(line, found)
        if wanted:
            waiting.append((found.nearest or _NEVER, name))
    return min(waiting)[1] if waiting else None


def _anything(line: Line, found: Backlog) -> bool:
    """Whether there is a target, or something that a run which ended early has left."""
    return bool(
        found.pending
        or found.open_batch
        or owed_reports(line, found.dataset)
        or line.ledger.open_effects(found.dataset, "ingest")
    )
