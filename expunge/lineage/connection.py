"""The way to MLflow: an explicit client, and its failures in the words of our error family.

Nothing here sets MLflow's global tracking URI, so that two workspaces can be open in one process.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from expunge.errors import ExpungeError, TerminalError, TransientError, is_no_room
from expunge.settings import MlflowSettings, redacted

if TYPE_CHECKING:
    from mlflow import MlflowClient

# MLflow's own seven retries keep a station waiting for four minutes; ours is retried as a whole.
_PATIENCE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # standard output is for our own JSON
}
_NOT_OURS_TO_RETRY = {
    "INVALID_PARAMETER_VALUE",
    "BAD_REQUEST",
    "PERMISSION_DENIED",
    "UNAUTHENTICATED",
    "CUSTOMER_UNAUTHORIZED",
    "RESOURCE_DOES_NOT_EXIST",
    "NOT_IMPLEMENTED",
}


class RegistryUnreachableError(TransientError):
    """The MLflow store does not answer, or has no room."""


class RegistryRefusedError(TerminalError):
    """The MLflow store answered, and said no."""


class UnknownModelVersionError(TerminalError):
    """The registry has no such model version."""


class ChampionMovedError(TransientError):
    """Someone else promoted version `found` meanwhile; that one has to be unlearned first."""

    def __init__(
        self,
        what: str,
        *,
        fix: str,
        left: str = "Nothing was changed.",
        found: str | None = None,
    ) -> None:
        super().__init__(what, fix=fix, left=left)
        self.found = found

    def __reduce__(self) -> tuple[object, ...]:
        """Keep `found` when the error crosses a process."""
        return (*super().__reduce__(), {"found": self.found})


def connect(uri: str) -> MlflowClient:
    """Client of the store and registry at `uri`; the first use of an empty store creates it."""
    for name, value in _PATIENCE.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    for noisy in ("mlflow", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    with mlflow_errors("open the MLflow store"):
        return MlflowClient(tracking_uri=uri, registry_uri=uri)


def log_in(mlflow: MlflowSettings) -> None:
    """Hand user and password to MLflow, which takes them from the environment only."""
    if mlflow.username is not None:
        os.environ["MLFLOW_TRACKING_USERNAME"] = mlflow.username
    if mlflow.password is not None:
        os.environ["MLFLOW_TRACKING_PASSWORD"] = mlflow.password.get_secret_value()


def missing(error: Exception) -> bool:
    """Whether MLflow says that the thing asked for does not exist."""
    code = getattr(error, "error_code", "")
    # An absent alias is reported as an invalid parameter.
    return code == "RESOURCE_DOES_NOT_EXIST" or (
        "alias" in str(error) and "not found" in str(error)
    )


@contextmanager
def mlflow_errors(
    doing: str, *, left: str = "The registry and its aliases are as they were."
) -> Iterator[None]:
    """Turn what MLflow, its database or its artifact store raise into our errors."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except ExpungeError:
        raise
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise _translated(error, doing, left) from error


def _translated(error: Exception, doing: str, left: str) -> ExpungeError:
    said = f"{type(error).__name__}: {_without_secrets(str(error))}"
    if "mlflow db upgrade" in said:
        return RegistryRefusedError(
            f"The MLflow store has the schema of another MLflow release; could not {doing}.",
            fix="back it up, then: mlflow db upgrade URL",
            left=left,
        )
    if is_no_room(error):
        return RegistryUnreachableError(
            f"The disk of the MLflow artifacts is full; could not {doing}.",
            fix="free space, then run the same command again",
            left=left,
        )
    if getattr(error, "error_code", "") in _NOT_OURS_TO_RETRY:
        return RegistryRefusedError(
            f"MLflow refused to {doing}: {said}",
            fix="check the settings and permissions: expunge doctor",
            left=left,
        )
    return RegistryUnreachableError(
        f"MLflow is not reachable; could not {doing}: {said}",
        fix="check it with `expunge doctor`, then run the same command again",
        left=left,
    )


def _without_secrets(text: str) -> str:
    """First line of a message, without the password of any URL in it."""
    first = text.strip().splitlines()[0] if text.strip() else "no message"
    return redacted(first)[:400]
