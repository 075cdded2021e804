"""A repository of its own to run DVC's stages in."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.documented import REPOSITORY, environment

PARTS = ("benchmarks", "expunge", "models", "data", ".dvc", "dvc.yaml", "params.yaml", ".gitignore")


def copy_repository(folder: Path) -> Path:
    """What the stages read, as files that git does not know yet."""
    for part in PARTS:
        source = REPOSITORY / part
        if source.is_dir():
            kept = shutil.ignore_patterns("__pycache__", "tmp", "cache")
            shutil.copytree(source, folder / part, ignore=kept)
        else:
            shutil.copy(source, folder / part)
    return folder


def commit(folder: Path) -> None:
    """Make it a git repository with everything in it."""
    who = ("-c", "user.name=tests", "-c", "user.email=tests@localhost")
    for command in (("init", "-q"), ("add", "-A"), (*who, "commit", "-qm", "The experiment")):
        subprocess.run(["git", *command], cwd=folder, check=True)


def dvc(folder: Path, *arguments: str) -> str:
    """What DVC prints; it has to succeed."""
    ran = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=folder,
        env=stage_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def stage_environment() -> dict[str, str]:
    """Without the real data, and with the copy's own code before any other."""
    found = environment(PYTHONPATH=".")
    return {name: value for name, value in found.items() if name != "EXPUNGE_DATA"}
