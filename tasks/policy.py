"""How stations are retried and placed: one policy for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prefect.cache_policies import NO_CACHE

from expunge.errors import TransientError
from expunge.lineage import ChampionMovedError
from expunge.requests import LockLostError
from expunge.settings import TaskSettings, read
from tasks.lines import lent

ACCELERATOR = "expunge-accelerator"
HOUR = 3600


RETRIES = read(TaskSettings)


def transient(task: Any, run: Any, state: Any) -> bool:
    """Retry what may pass; not what needs the runner, or a decision."""
    error = state.result(raise_on_failure=False)
    wait = isinstance(error, TransientError | ConnectionError | TimeoutError)
    again = wait and not isinstance(error, ChampionMovedError | LockLostError)
    if again and run.run_count <= task.retries:
        what = error.what if isinstance(error, TransientError) else type(error).__name__
        for line in lent():
            line.progress(task.name, f"trying again soon: {what}")
    return again


def station(name: str, *, timeout: float) -> dict[str, Any]:
    """Options of a station's task. Outcomes live in the ledger, so Prefect keeps no result."""
    return {
        "name": name,
        "task_run_name": name,
        "retries": RETRIES.retries,
        "retry_delay_seconds": RETRIES.retry_delays,
        "retry_jitter_factor": 0.5,
        "retry_condition_fn": transient,
        "timeout_seconds": timeout,
        "cache_policy": NO_CACHE,
        "persist_result": False,
    }


@contextmanager
def accelerator() -> Iterator[None]:
    """One of the slots for unlearning and evaluation; strict, so an undefined limit is an error."""
    from prefect.concurrency.sync import concurrency

    with concurrency(ACCELERATOR, strict=True):
        yield
