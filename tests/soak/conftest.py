"""A workspace in which a batch has ended, and what the checker has to know of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from expunge.line import open_line
from tests.line.conftest import _trained, quick, restored
from tests.line.small import PEOPLE, RETRAIN, ROWS, file, people_in, person, respec, run, work_here
from tests.soak.site import Folder, Site, Truth

__all__ = ["_trained", "quick"]

SPARSE = {"strategy": "top_k", "fraction": 0.05, "repair": {"epochs": 1}}


def site_of(root: Path) -> Site:
    """An embedded workspace: SQLite, folders."""
    private = root / ".expunge"
    mlflow = f"sqlite:///{private / 'mlflow.db'}"
    ledger = f"sqlite:///{private / 'ledger.db'}"
    stores = Folder(private / "remote"), Folder(private / "mlartifacts")
    (root.parent / "logs").mkdir(exist_ok=True)
    (root.parent / "tmp").mkdir(exist_ok=True)
    return Site(
        root, "small", ledger, mlflow, mlflow, *stores, (root.parent / "logs",), root.parent / "tmp"
    )


@pytest.fixture(scope="session")
def _finished(
    _trained: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, str]]:
    """A copy of a workspace with a refused and a promoted candidate; who filed which request."""
    root = restored(_trained)
    saved = tmp_path_factory.mktemp("finished") / "workspace"
    with pytest.MonkeyPatch.context() as patch, open_line(root) as line:
        patch.setattr("expunge.line.unlearn._work", work_here)
        respec(line, ladder=[SPARSE, RETRAIN])
        people = [*people_in(line, "T", 3), *people_in(line, "R", 1), *people_in(line, "E", 1)]
        people += [people[0], "somebody-who-never-was-there"]
        accepted = dict(zip(file(line, *people), people, strict=True))
        run(line)
    shutil.copytree(root, saved, symlinks=True)
    return saved, accepted


@pytest.fixture
def site(_trained: tuple[Path, Path], _finished: tuple[Path, dict[str, str]]) -> Iterator[Site]:
    """The finished workspace, at the place it was made for."""
    root = _trained[0]
    shutil.rmtree(root)
    shutil.copytree(_finished[0], root, symlinks=True)
    yield site_of(root)
    for left in ("logs", "tmp"):
        shutil.rmtree(root.parent / left)


@pytest.fixture
def truth(_finished: tuple[Path, dict[str, str]]) -> Truth:
    """Who was brought in, and who asked."""
    return Truth({person(number): ROWS for number in range(PEOPLE)}, _finished[1])
