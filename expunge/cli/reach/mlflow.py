"""The MLflow store: reachable, logged in to, and ready to take models and files."""

from __future__ import annotations

import os
import tempfile
import urllib.request
from collections.abc import Callable
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

from expunge.cli.reach import TIMEOUT_SECONDS, Finding, said
from expunge.cli.reach.database import database
from expunge.errors import ExpungeError
from expunge.workspace import Workspace

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from sqlalchemy import Connection

EXPERIMENT = "expunge-doctor"  # stays: MLflow keeps the names of deleted experiments
_SETTING = "EXPUNGE_MLFLOW_TRACKING_URI"
_LOGIN = "set EXPUNGE_MLFLOW_USERNAME and EXPUNGE_MLFLOW_PASSWORD (or _PASSWORD_FILE)"


def mlflow(workspace: Workspace) -> Finding:
    """The store of runs and models."""
    uri = workspace.settings.mlflow.tracking_uri.get_secret_value()
    if not uri.startswith(("http://", "https://")):
        return database(uri, _SETTING, _look)
    try:
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=TIMEOUT_SECONDS):  # noqa: S310
            pass
    except OSError as error:
        return said(error), f"start the MLflow server, or mend {_SETTING}"
    return _server(workspace)


def _look(connection: Connection) -> Finding:
    """SELECT 1 would not read a SQLite file."""
    from sqlalchemy import inspect

    inspect(connection).get_table_names()
    file = connection.engine.url.database
    if connection.dialect.name == "sqlite" and file and not os.access(file, os.W_OK):
        return ", but cannot be written to", f"mend the permissions of {file}"
    return "", ""


def _server(workspace: Workspace) -> Finding:
    from importlib.metadata import version

    from expunge.lineage.access import Access
    from expunge.lineage.connection import mlflow_errors

    client = Access.open(workspace.settings).client
    steps: dict[str, Callable[[], object]] = {
        "be read": lambda: client.search_registered_models(max_results=1),
        "take models": lambda: _register(client),
        "take files": lambda: _store(client, workspace),
    }
    for step, probe in steps.items():
        try:
            with mlflow_errors(f"find out whether it can {step}"):
                probe()
        except ExpungeError as error:
            return f"server answers, but cannot {step}: {error.what}", _mend(step, error)
    theirs, ours = _version(workspace), version("mlflow")
    if theirs.split(".")[:2] != ours.split(".")[:2]:
        return f"server {theirs}, but this is {ours}", f"run the server with mlflow {ours}"
    return f"server {theirs} answers; it takes models and files", ""


def _version(workspace: Workspace) -> str:
    """The server's version, asked as MLflow's client asks: with its login."""
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    uri = workspace.settings.mlflow.tracking_uri.get_secret_value()
    return str(http_request(get_default_host_creds(uri), "/version", "GET").text).strip()


def _mend(step: str, error: ExpungeError) -> str:
    if "401" in error.what or "UNAUTHENTICATED" in error.what:
        return _LOGIN
    if step == "be read":
        return f"look into the server's log, or mend {_SETTING}"
    if step == "take models":
        return "let the user create registered models and experiments"
    return "mend the server's --artifacts-destination, and its own right to write there"


def _register(client: MlflowClient) -> None:
    name = f"{EXPERIMENT}-{token_hex(4)}"
    client.create_registered_model(name)
    client.delete_registered_model(name)


def _store(client: MlflowClient, workspace: Workspace) -> None:
    """Put a file where the files of an experiment's runs go, and take it away again."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    found = client.get_experiment_by_name(EXPERIMENT)
    place = found or client.get_experiment(client.create_experiment(EXPERIMENT))
    if place.lifecycle_stage == "deleted":
        client.restore_experiment(place.experiment_id)
    uri = workspace.settings.mlflow.tracking_uri.get_secret_value()
    files = get_artifact_repository(place.artifact_location, tracking_uri=uri)
    name = f"probe-{token_hex(4)}"
    with tempfile.TemporaryDirectory(dir=workspace.state("scratch")) as folder:
        probe = Path(folder, name)
        probe.write_text(name)
        files.log_artifact(str(probe))
        back = Path(files.download_artifacts(name, dst_path=tempfile.mkdtemp(dir=folder)))
        if back.read_text() != name:
            raise OSError("the artifact store gave back something else")
    files.delete_artifacts(name)
