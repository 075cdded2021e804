"""Let a batch go on at once, where a Prefect server runs the scheduled jobs."""

from __future__ import annotations

import os

from expunge.errors import TransientError
from expunge.requests import Approval

DEPLOYMENT = "deletion-batches/urgent"


def resume(answered: Approval) -> str | None:
    """Start the hourly job for a batch that was answered; the run's name, None without a server.

    Raises:
        TransientError: the server did not start it; the hourly schedule will.
    """
    if not os.environ.get("PREFECT_API_URL"):
        return None
    import httpx
    from prefect.deployments import run_deployment
    from prefect.exceptions import PrefectException

    key = f"{answered.batch_id}:{answered.part}:{answered.state}"
    try:
        run = run_deployment(DEPLOYMENT, timeout=0, as_subflow=False, idempotency_key=key)
    except (PrefectException, httpx.HTTPError, OSError, ValueError) as error:
        raise TransientError(
            f"The Prefect server did not start {DEPLOYMENT}: {type(error).__name__}.",
            left="The answer is recorded.",
            fix="the next scheduled run goes on with the batch, or now: expunge run",
        ) from error
    return str(run.name)
