"""The kill matrix: a real process is killed at every moment of a batch; the next run ends the same.

Moments are the start and the end of every ledger write and of every effect outside the database,
so that each station dies at its intent, in its effect, and before and after its outcome.
"""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from expunge.line import open_line
from tests.line.kill import canonical, fingerprint, in_process
from tests.line.small import file, people_in

KILLED = -signal.SIGKILL
TERMINATED = 143

MOMENTS = (
    "before claim 1",
    "after claim 1",
)


@pytest.fixture(scope="session")
def undisturbed(
    _trained: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[str], dict[str, Any]]:
    """Requests filed; the moments of a run that nothing disturbs; what it ends in."""
    root, saved = _trained
    folder = tmp_path_factory.mktemp("kill")
    filed, trace = folder / "filed", folder / "trace"
    shutil.rmtree(root)
    shutil.copytree(saved, root, symlinks=True)
    with open_line(root) as line:
        subjects = [*people_in(line, "T", 4), *people_in(line, "R", 1), *people_in(line, "E", 1)]
        file(line, *subjects, subjects[0], "a person who never was there")
    shutil.copytree(root, filed, symlinks=True)
    assert in_process(root, trace) == 0
    return filed, trace.read_text().splitlines(), fingerprint(root)


@pytest.fixture
def filed(_trained: tuple[Path, Path], undisturbed: tuple[Path, Any, Any]) -> Path:
    """The workspace as it was when the requests were filed."""
    root = _trained[0]
    shutil.rmtree(root)
    shutil.copytree(undisturbed[0], root, symlinks=True)
    return root


def test_the_moments_are_those_of_an_undisturbed_run(
    undisturbed: tuple[Path, list[str], Any],
) -> None:
    assert set(MOMENTS) <= set(undisturbed[1])
    missing = [name for name in undisturbed[1] if name not in MOMENTS]
    assert not [name for name in missing if name.startswith("before")]


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_killed_at_any_moment_ends_like_an_undisturbed_one(
    moment: str, filed: Path, undisturbed: tuple[Path, Any, dict[str, Any]], tmp_path: Path
) -> None:
    assert in_process(filed, tmp_path / "killed", at=moment) == KILLED
    assert in_process(filed, tmp_path / "resumed") == 0
    assert canonical(fingerprint(filed)) == canonical(undisturbed[2])
