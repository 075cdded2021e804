"""Random passwords, each in a file of its own that only its owner reads.

What always holds: a password that is there stays as it is, and none is ever printed.
`python -m deploy.passwords DIR` makes those of compose.yaml and of the Kubernetes overlay.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Iterable
from pathlib import Path

NAMES = (
    "postgres-admin",
    "postgres-prefect",
    "postgres-mlflow",
    "postgres-expunge-owner",
    "postgres-expunge",
    "postgres-expunge-reader",
    "prefect",
    "mlflow-admin",
    "mlflow-expunge",
    "mlflow-session",
    "s3",
)
BYTES = 24  # of entropy in each


def ensure(folder: Path, names: Iterable[str] = NAMES) -> None:
    """Make what is absent of `names` in `folder`, which gets mode 700."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    for name in names:
        if not (folder / name).exists():
            write(folder / name, secrets.token_urlsafe(BYTES))


def read(folder: Path, name: str) -> str:
    """The password `name`."""
    return (folder / name).read_text().strip()


def write(file: Path, content: str) -> None:
    """Replace `file` by `content`, mode 600 from its first moment on, whole or not at all."""
    new = file.with_name(f".{file.name}.{os.getpid()}")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as opened:
        opened.write(content)
    new.replace(file)


def for_containers(folder: Path) -> None:
    """All that containers mount, in the form in which each program reads it.

    The folder keeps strangers out. The files are readable to all, since a container's user is
    another one than their owner's, and sees the one file only that is mounted.
    """
    ensure(folder, (*NAMES, "grafana", "s3-dvc", "s3-mlflow"))
    write(folder / "prefect-auth", f"expunge:{read(folder, 'prefect')}")
    users = {"dvc": "expunge-dvc", "mlflow": "expunge-mlflow"}
    for user in users:
        write(folder / f"aws-{user}", aws_credentials(user, read(folder, f"s3-{user}")))
    write(folder / "s3.json", _seaweed(folder, users))
    for file in folder.iterdir():
        file.chmod(0o444)


def aws_credentials(user: str, password: str) -> str:
    """A file for AWS_SHARED_CREDENTIALS_FILE."""
    return f"[default]\naws_access_key_id = {user}\naws_secret_access_key = {password}\n"


def _seaweed(folder: Path, buckets: dict[str, str]) -> str:
    """SeaweedFS' users: each reaches its own bucket only, and makes none."""
    identities = [
        {
            "name": user,
            "credentials": [{"accessKey": user, "secretKey": read(folder, f"s3-{user}")}],
            "actions": [f"{verb}:{bucket}" for verb in ("Read", "Write", "List", "Tagging")],
        }
        for user, bucket in buckets.items()
    ]
    return json.dumps({"identities": identities}, indent=2) + "\n"


if __name__ == "__main__":
    for_containers(Path(sys.argv[1]))
