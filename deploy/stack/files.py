"""The files that hold secrets in the form in which each program reads them; all of mode 600."""

from __future__ import annotations

import shlex

from deploy.passwords import aws_credentials, write
from deploy.stack.place import HOST, Place
from deploy.stack.topology import S3_USER, client, database

_ROLES = {
    "postgres": "postgres-admin",
    "prefect": "postgres-prefect",
    "mlflow": "postgres-mlflow",
    "expunge_owner": "postgres-expunge-owner",
    "expunge": "postgres-expunge",
    "expunge_reader": "postgres-expunge-reader",
}


def write_files(place: Place) -> None:
    """Write them anew from passwords and ports."""
    write(place.passfile, _passfile(place))
    write(place.secrets / "aws-credentials", aws_credentials(S3_USER, place.password("s3")))
    write(place.secrets / "mlflow-auth.ini", _mlflow(place))
    write(place.env, _env(place))


def _passfile(place: Place) -> str:
    port = place.ports["postgres"]
    lines = (f"{HOST}:{port}:*:{role}:{place.password(name)}" for role, name in _ROLES.items())
    return "\n".join(lines) + "\n"


def _mlflow(place: Place) -> str:
    """As deploy/mlflow-auth.ini: who made a thing manages it, others may look."""
    return (
        "[mlflow]\ndefault_permission = READ\nauth_cache_ttl_seconds = 60\n"
        f"database_uri = {database(place, 'mlflow', 'mlflow_auth')}\n"
    )


def _env(place: Place) -> str:
    lines = [f"export {name}={shlex.quote(value)}" for name, value in client(place).items()]
    return "\n".join(["# . stack/env   (holds passwords)", *lines]) + "\n"
