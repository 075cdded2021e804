"""The files that hold secrets in the form in which each program reads them; all of mode 600."""

from __future__ import annotations

import shlex

from deploy.passwords import write
from deploy.stack.place import HOST, Place
from deploy.stack.topology import S3_USER, client, database

_ROLES = {
    "postgres": "postgres-admin",
    "prefect": "postgres-prefect",
    "mlflow": "postgres-mlflow",
    "expunge_owner": "postgres-expunge-owner",
    "expunge": "postgres-expunge",
}


def write_files(place: Place) -> None:
    """Write them anew from passwords and ports."""
    write(place.passfile, _passfile(place))
    write(place.secrets / "aws-credentials", _aws(place))
    write(place.secrets / "mlflow-auth.ini", _mlflow(place))
    write(place.env, _env(place))


def _passfile(place: Place) -> str:
    port = place.ports["postgres"]
    lines = (f"{HOST}:{port}:*:{role}:{place.password(name)}" for role, name in _ROLES.items())
    return "\n".join(lines) + "\n"


def _aws(place: Place) -> str:
    return (
        f"[default]\naws_access_key_id = {S3_USER}\n"
        f"aws_secret_access_key = {place.password('s3')}\n"
    )


def _mlflow(place: Place) -> str:
    """Who has no permission of his own for an experiment or model has none."""
    return (
        "[mlflow]\ndefault_permission = NO_PERMISSIONS\n"
        f"database_uri = {database(place, 'mlflow', 'mlflow_auth')}\n"
    )


def _env(place: Place) -> str:
    lines = [f"export {name}={shlex.quote(value)}" for name, value in client(place).items()]
    return "\n".join(["# . stack/env   (holds passwords)", *lines]) + "\n"
