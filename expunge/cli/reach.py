"""Whether the stores of a workspace answer: ledger, MLflow, DVC remote, git."""

from __future__ import annotations

import os
import urllib.request
from pathlib import Path

from expunge.settings import redacted
from expunge.workspace import Workspace

Finding = tuple[str, str]  # what was found, and what mends it: "" where nothing has to be
_TIMEOUT_SECONDS = 5


def ledger(workspace: Workspace) -> Finding:
    """The database of requests."""
    return _database(workspace.settings.ledger.url.get_secret_value(), "EXPUNGE_LEDGER_URL")


def mlflow(workspace: Workspace) -> Finding:
    """The store of runs and models."""
    uri = workspace.settings.mlflow.tracking_uri.get_secret_value()
    if not uri.startswith(("http://", "https://")):
        return _database(uri, "EXPUNGE_MLFLOW_TRACKING_URI")
    try:
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=_TIMEOUT_SECONDS) as reply:  # noqa: S310
            return f"server answers ({reply.status})", ""
    except OSError as error:
        return said(error), "start the MLflow server, or mend EXPUNGE_MLFLOW_TRACKING_URI"


def _database(text: str, setting: str) -> Finding:
    """Whether a database answers; one that does not exist yet is not created."""
    from sqlalchemy import create_engine, inspect, make_url
    from sqlalchemy.exc import SQLAlchemyError

    try:
        url = make_url(text)
        shown = url.render_as_string(hide_password=True)
        if url.get_backend_name() == "sqlite":
            file = Path(url.database or "")
            if not file.exists():
                return _absent(file, setting)
        arguments = {} if url.get_backend_name() == "sqlite" else {"connect_timeout": 5}
        engine = create_engine(url, connect_args=arguments)
        try:
            with engine.connect() as connection:
                inspect(connection).get_table_names()  # SELECT 1 would not read a file
        finally:
            engine.dispose()
    except SQLAlchemyError as error:
        return said(error), f"start the database, or mend {setting}"
    return f"{shown} answers", ""


def _absent(file: Path, setting: str) -> Finding:
    if os.access(file.parent, os.W_OK):
        return f"{file} is made at first use", ""
    return f"{file.parent} cannot be written to", f"mend its permissions, or {setting}"


def remote(workspace: Workspace) -> Finding:
    """Whether the default DVC remote takes and gives back a file."""
    from expunge.dataset.dvcrepo import open_dvc, probe_remote, translated

    left = "Nothing was changed."
    with open_dvc(workspace.root) as repo, translated("Reaching the DVC remote", left):
        return f"{probe_remote(repo)} can be written to", ""


def git(workspace: Workspace) -> Finding:
    """Branch, unfinished publishing, git remote."""
    from expunge.dataset.gitrepo import GitRepo

    git, remote = GitRepo(workspace.root), workspace.settings.git.remote
    branch = git.branch()
    unfinished = git.run("status", "--porcelain", "--", "data/*.dvc")
    if unfinished:
        return (
            f"on {branch}; pointers differ from the last commit: {' '.join(unfinished.split())}",
            "`expunge run` finishes what was killed; otherwise `git checkout -- data/` and "
            "`dvc checkout`",
        )
    if remote is not None:
        git.run("ls-remote", "--quiet", remote, f"refs/heads/{branch}")
    return f"on {branch}; {f'remote {remote} answers' if remote else 'no git remote set'}", ""


def said(error: Exception) -> str:
    """Kind and first line of an error."""
    lines = redacted(str(error)).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
