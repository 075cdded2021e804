"""How stations are retried and placed: one policy for all of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prefect.cache_policies import NO_CACHE

from expunge.errors import TransientError
from expunge.lineage import ChampionMovedError
from expunge.requests import LockLostError

ACCELERATOR = "expunge-accelerator"
HOUR = 3600


def transient(task: Any, run: Any, state: Any) -> bool:
    """Retry what may pass; not what needs the runner, or a decision."""
    error = state.result(raise_on_failure=False)
    wait = isinstance(error, TransientError | ConnectionError | TimeoutError)
    return wait and not isinstance(error, ChampionMovedError | LockLostError)


def station(name: str, *, timeout: float) -> dict[str, Any]:
    """Options of a station's task. Outcomes live in the ledger, so Prefect keeps no result."""
    return {
        "name": name,
        "task_run_name": name,
        "retries": int(os.environ.get("EXPUNGE_TASK_RETRIES", "3")),
        "retry_delay_seconds": [5, 30, 120],
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
