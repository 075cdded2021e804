"""The small workspace of the line's tests with requests filed, and a Prefect API by URL."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from expunge.line import open_line
from flows.embedded import embedded_api, wait_for_api
from tests.line.conftest import _trained, root
from tests.line.small import file, people_in

__all__ = ["_trained", "root"]


@pytest.fixture(scope="session")
def _filed(
    _trained: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, tuple[str, ...]]:
    """A copy of the trained workspace with requests of four people, and these people."""
    root, saved = _trained
    filed = tmp_path_factory.mktemp("filed") / "workspace"
    shutil.rmtree(root)
    shutil.copytree(saved, root, symlinks=True)
    with open_line(root) as line:
        people = (*people_in(line, "T", 3), *people_in(line, "E", 1))
        file(line, *people)
    shutil.copytree(root, filed, symlinks=True)
    return filed, people


@pytest.fixture
def filed(_filed: tuple[Path, tuple[str, ...]], _trained: tuple[Path, Path]) -> Path:
    """A workspace with a champion and four people's requests, at the place it was made for."""
    root = _trained[0]
    shutil.rmtree(root)
    shutil.copytree(_filed[0], root, symlinks=True)
    return root


@pytest.fixture(scope="session")
def people(_filed: tuple[Path, tuple[str, ...]]) -> tuple[str, ...]:
    """The people whose requests are filed."""
    return _filed[1]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Prefect API that answers at `PREFECT_API_URL`; the folder of its database."""
    home = tmp_path_factory.mktemp("prefect")
    with embedded_api(home):
        wait_for_api()
        yield home
