"""Workspaces of the small dataset: made once a session, copied back for each test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import expunge.line.unlearn
from expunge.line import Line, open_line
from tests.line.small import MANY, PEOPLE, fill, make_workspace, work_here


@pytest.fixture(scope="session")
def _trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A workspace with data and champion, and a copy of it to restore from."""
    return _made(tmp_path_factory.mktemp("line"))


@pytest.fixture(scope="session")
def _many(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same with people enough for mock requests."""
    return _made(tmp_path_factory.mktemp("many"), MANY)


def _made(folder: Path, people: int = PEOPLE) -> tuple[Path, Path]:
    """Make a workspace and save it.

    MLflow and DVC write absolute paths, so each test gets the content back at the same place.
    """
    # MLflow must not keep connections to a database that a test puts back as it was.
    os.environ["MLFLOW_SQLALCHEMYSTORE_POOLCLASS"] = "NullPool"
    root, saved = folder / "workspace", folder / "saved"
    make_workspace(root)
    with open_line(root) as line:
        fill(line, folder, people)
    shutil.copytree(root, saved, symlinks=True)
    return root, saved


def restored(trained: tuple[Path, Path]) -> Path:
    """The workspace, with the content back that it had when it was made."""
    root, saved = trained
    shutil.rmtree(root)
    shutil.copytree(saved, root, symlinks=True)
    return root


@pytest.fixture
def root(_trained: tuple[Path, Path]) -> Path:
    """A workspace with 90 people ingested and version 1 of small-mlp as champion."""
    return restored(_trained)


@pytest.fixture
def line(root: Path) -> Iterator[Line]:
    """The line over that workspace."""
    with open_line(root) as opened:
        yield opened


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the worker work in this process, where torch is imported already."""
    monkeypatch.setattr(expunge.line.unlearn, "_work", work_here)


@pytest.fixture
def crowd_root(_many: tuple[Path, Path]) -> Path:
    """A workspace with 160 people ingested and version 1 of small-mlp as champion."""
    return restored(_many)


@pytest.fixture
def crowd(crowd_root: Path) -> Iterator[Line]:
    """The line over that workspace."""
    with open_line(crowd_root) as opened:
        yield opened
