"""Prefect's own console output, in the form of our logs."""

from __future__ import annotations

from expunge import logs
from flows.embedded import is_embedded


def structured_logs() -> None:
    """Where the settings ask for JSON, Prefect prints JSON too; its API keeps its logs as ever.

    A server that was started for this process alone stays silent.
    """
    if logs.configure() and not is_embedded():
        logs.adopt("prefect")
