"""The demo's own workspace: made anew each time, and nothing else is ever removed."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from expunge.errors import TerminalError
from expunge.workspace import Workspace, init_workspace

DATASET = "digits"
_MARKER = Path(".git", "expunge-demo")


class NotOursError(TerminalError):
    """The folder holds something that no demo made."""


def fresh_workspace(root: Path) -> Workspace:
    """An empty workspace of the reference specs at `root`; one of an earlier demo is replaced.

    Raises:
        NotOursError: the folder has content and is no demo's workspace.
    """
    if root.is_symlink() or (root.exists() and not root.is_dir()):
        raise _not_ours(root)
    if (root / _MARKER).is_file():
        shutil.rmtree(root)
    elif root.is_dir() and any(root.iterdir()):
        raise _not_ours(root)
    root.mkdir(parents=True, exist_ok=True)
    subprocess.run(["git", "-C", str(root), "init", "--quiet", "-b", "main"], check=True)
    (root / _MARKER).write_text("`expunge demo` made this folder, and replaces it.\n")
    workspace = init_workspace(root)
    workspace.keys.reference()
    _fix_placement(workspace)
    return workspace


@contextmanager
def own_settings() -> Iterator[None]:
    """Keep the demo to its workspace: no store or server that the environment names is used."""
    before = dict(os.environ)
    for name in before:
        if name.startswith("EXPUNGE_") or name in ("PREFECT_API_URL", "MLFLOW_TRACKING_URI"):
            del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(before)


def _fix_placement(workspace: Workspace) -> None:
    """Give every writer the same role in every demo, so that every demo shows the same.

    Only made-up people allow it: a real dataset's placement key is random and known to nobody.
    """
    file = workspace.settings.folders.keys / f"placement-{DATASET}.key"
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as key:
        key.write(placement_key())


def placement_key() -> bytes:
    """The demo's fixed placement key: the first of its kind with nearly the shares of the spec."""
    return hashlib.sha256(b"expunge demo: placement 2").digest()


def _not_ours(root: Path) -> NotOursError:
    return NotOursError(
        f"{root} is not empty, and no demo made it.",
        fix="give an empty or absent folder: expunge demo --workspace DIR",
    )
