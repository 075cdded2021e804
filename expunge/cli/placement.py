"""Whether the machines that unlearn models share what they have to: the check of `doctor`."""

from __future__ import annotations

import os
import socket

from expunge.cli.reach import Finding
from expunge.workspace import Workspace

MARKS = "seen-by"
"""Folder in the state: one empty file for each machine on which doctor looked at it."""


def placement(workspace: Workspace) -> Finding:
    """Which machines see the state folder, and whether ledger and MLflow serve several."""
    deployment = workspace.settings.placement.deployment
    if deployment is None:
        return "models are unlearned where the batch runs", ""
    if not os.environ.get("PREFECT_API_URL"):
        return f"{deployment}, but no Prefect server", "set PREFECT_API_URL"
    hosts = _hosts(workspace)
    found = f"{deployment}; the state folder is seen by {', '.join(hosts)}"
    settings = workspace.settings
    urls = {
        "EXPUNGE_LEDGER_URL (PostgreSQL)": settings.ledger.url,
        "EXPUNGE_MLFLOW_TRACKING_URI (a server)": settings.mlflow.tracking_uri,
    }
    local = [name for name, url in urls.items() if url.get_secret_value().startswith("sqlite")]
    if len(hosts) > 1 and local:
        return f"{found}, and SQLite is for one machine", f"set {' and '.join(local)}"
    if len(hosts) == 1:
        found += "; run doctor on the other machines: it lists them if they share the folder"
    return found, ""


def _hosts(workspace: Workspace) -> list[str]:
    """Machines on which doctor ran over this state folder, this one among them."""
    marks = workspace.state(MARKS)
    (marks / socket.gethostname()).touch()
    return sorted(path.name for path in marks.iterdir())
