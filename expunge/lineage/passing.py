"""Folders for passing copies, each named after its process.

So whoever comes later can tell, and remove, those that a killed process left behind: they may hold
weights, and pictures of people's rows.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, unquote

from expunge.requests.holders import is_dead, this_holder


def passing_folder(parent: Path, prefix: str) -> Path:
    """A new folder below `parent`, which is made if absent; whoever asked for it removes it."""
    folder = parent / f"{prefix}{quote(this_holder(), safe='')}"
    folder.mkdir(parents=True, mode=0o700)
    return folder


@contextmanager
def passing(parent: Path, prefix: str) -> Iterator[Path]:
    """A new folder below `parent` for the length of the block."""
    folder = passing_folder(parent, prefix)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep_passing(parent: Path, prefix: str) -> None:
    """Remove such folders of processes of this host that have ended."""
    for folder in parent.glob(f"{prefix}*"):
        holder = unquote(folder.name.removeprefix(prefix))
        if holder.count(":") >= 3 and is_dead(holder):
            shutil.rmtree(folder, ignore_errors=True)
