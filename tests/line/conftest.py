"""Workspaces of the small dataset: made once a session, copied back for each test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import expunge.line.unlearn
from expunge.line import Line, open_line
from tests.line.small import fill, make_workspace, work_here


@pytest.fixture(scope="session")
def _trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A workspace with data and champion, and a copy of it to restore from.

    MLflow and DVC write absolute paths, so each test gets the content back at the same place.
    """
    # MLflow must not keep connections to a database that a test puts back as it was.
    os.environ["MLFLOW_SQLALCHEMYSTORE_POOLCLASS"] = "NullPool"
    folder = tmp_path_factory.mktemp("line")
    root, saved = folder / "workspace", folder / "saved"
    make_workspace(root)
    with open_line(root) as line:
        fill(line, folder)
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
