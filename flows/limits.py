"""Global concurrency limits that the tasks hold slots of."""

from __future__ import annotations

from contextlib import suppress

from tasks.policy import ACCELERATOR

__all__ = ["ACCELERATOR", "ensure_limits"]


def ensure_limits(slots: int = 1) -> None:
    """Create the limits on the configured Prefect server; what an operator set stays."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
    from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

    with get_client(sync_client=True) as client:
        try:
            client.read_global_concurrency_limit_by_name(ACCELERATOR)
        except ObjectNotFound:
            limit = GlobalConcurrencyLimitCreate(name=ACCELERATOR, limit=slots)
            with suppress(ObjectAlreadyExists):
                client.create_global_concurrency_limit(limit)
