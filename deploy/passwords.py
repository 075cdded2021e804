"""Random passwords, each in a file of its own that only its owner reads.

What always holds: a password that is there stays as it is, and none is ever printed.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from pathlib import Path

NAMES = (
    "postgres-admin",
    "postgres-prefect",
    "postgres-mlflow",
    "postgres-expunge-owner",
    "postgres-expunge",
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
