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
from tests.line.kill import fingerprint, in_process
from tests.line.small import file, people_in

KILLED = -signal.SIGKILL
TERMINATED = 143

WRITES = (
    "claim 1",
    "dispose 1",
    "conclude:claim 1",
    "intend:report 1",
    "conclude:stage 1",
    "conclude:validate 1",
    "intend:publish 1",
    "complete 1",
    "record_erasure 1",
    "invalidate_derived 1",
    "conclude:publish 1",
    "conclude:unlearn 1",
    "conclude:evaluate 1",
    "record_derived 1",
    "record_derived 2",
    "conclude:evaluate 2",
    "conclude:gate 1",
    "intend:register 1",
    "complete 2",
    "intend:register 2",
    "complete 3",
    "record_model 1",
    "intend:promote 1",
    "complete 4",
    "record_promotion 1",
    "settle 1",
    "conclude:promote 1",
    "finish 1",
    "complete 5",
)
EFFECTS = (
    "seal_rows 1",
    "stage_erasure 1",
    "publish_files 1",
    "_work 1",
    "register 1",
    "promote 1",
    "log_run 1",
)
# The end of a write is the start of what comes next, so that writes need one moment each.
MOMENTS = (
    *(f"before {name}" for name in (*WRITES, *EFFECTS)),
    *(f"after {name}" for name in (*EFFECTS, "complete 5")),
)


@pytest.fixture(scope="session")
def undisturbed(
    _trained: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[str], str]:
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
    return filed, trace.read_text().splitlines(), fingerprint(root, folder / "undisturbed")


@pytest.fixture
def filed(_trained: tuple[Path, Path], undisturbed: tuple[Path, Any, Any]) -> Path:
    """The workspace as it was when the requests were filed."""
    root = _trained[0]
    shutil.rmtree(root)
    shutil.copytree(undisturbed[0], root, symlinks=True)
    return root


def test_no_moment_of_an_undisturbed_run_is_left_out(
    undisturbed: tuple[Path, list[str], str],
) -> None:
    assert {f"before {name}" for name in (*WRITES, *EFFECTS)} == {
        moment for moment in undisturbed[1] if moment.startswith("before")
    }


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_killed_at_any_moment_ends_like_an_undisturbed_one(
    moment: str, filed: Path, undisturbed: tuple[Path, Any, str], tmp_path: Path
) -> None:
    assert in_process(filed, tmp_path / "killed", at=moment) == KILLED
    assert in_process(filed, tmp_path / "resumed") == 0
    assert fingerprint(filed, tmp_path / "found") == undisturbed[2]


@pytest.mark.parametrize("moment", [f"before {name}" for name in EFFECTS])
def test_a_run_that_is_terminated_in_an_effect_ends_like_an_undisturbed_one(
    moment: str, filed: Path, undisturbed: tuple[Path, Any, str], tmp_path: Path
) -> None:
    stopped = in_process(filed, tmp_path / "stopped", at=moment, sent=signal.SIGTERM)
    assert stopped == TERMINATED
    assert in_process(filed, tmp_path / "resumed") == 0
    assert fingerprint(filed, tmp_path / "found") == undisturbed[2]


def test_a_finished_run_run_again_changes_nothing(
    filed: Path, undisturbed: tuple[Path, Any, str], tmp_path: Path
) -> None:
    assert in_process(filed, tmp_path / "first") == 0
    assert in_process(filed, tmp_path / "second") == 0
    assert fingerprint(filed, tmp_path / "found") == undisturbed[2]
