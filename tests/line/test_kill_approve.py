"""A run killed at a question to a person, or at its answer: the next run ends the same."""

from __future__ import annotations

import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest

from expunge.line import open_line
from tests.line.kill import in_process
from tests.line.small import end_approvals, file, people_in, respec

KILLED = -signal.SIGKILL
ASKING = ("before ask_approval 1", "after ask_approval 1")
EXPIRING = ("before close_approval 1", "after close_approval 1", "before conclude:hold 1")
PROMOTING = ("before intend:promote 1", "after promote 1", "before conclude:promote 1")


@pytest.fixture
def filed(root: Path) -> Path:
    """A workspace whose spec wants a person's yes, and one person's request."""
    with open_line(root) as line:
        respec(line, gate={"held_out": 0.5, "approval": "required"})
        file(line, *people_in(line, "T", 1), received=datetime.now(UTC))
    return root


def _killed_at(moments: tuple[str, ...], root: Path, folder: Path) -> None:
    """One run for each moment, killed there; then one that is left alone."""
    for moment in moments:
        assert in_process(root, folder / "trace", at=moment) == KILLED, moment
        (folder / "trace").unlink()
    assert in_process(root, folder / "trace") == 0


@pytest.mark.slow
def test_runs_killed_while_they_ask_and_promote_end_in_one_question_and_one_promotion(
    filed: Path, tmp_path: Path
) -> None:
    _killed_at(ASKING, filed, tmp_path)
    with open_line(filed) as line:
        (batch,) = line.ledger.batches()
        assert batch.state == "published"
        assert line.registry.champion("small-mlp") == "1"
        line.ledger.decide_approval(batch.id, None, "approved", by="ada", reason="fine")
    _killed_at(PROMOTING, filed, tmp_path)
    with open_line(filed) as line:
        kinds = [event.kind for event in line.ledger.events(dataset="small")]
        assert (kinds.count("approval_asked"), kinds.count("approved")) == (1, 1)
        assert [each.state for each in line.ledger.batches()] == ["finished"]
        assert [each.version for each in line.ledger.model_versions("small-mlp")] == ["1", "2"]
        assert line.registry.champion("small-mlp") == "2"
    assert not [*(filed / ".expunge/jobs").iterdir()]


@pytest.mark.slow
def test_runs_killed_while_a_question_expires_end_in_one_held_model(
    filed: Path, tmp_path: Path
) -> None:
    assert in_process(filed, tmp_path / "trace") == 0
    with open_line(filed) as line:
        end_approvals(line)
    _killed_at(EXPIRING, filed, tmp_path)
    with open_line(filed) as line:
        kinds = [event.kind for event in line.ledger.events(dataset="small")]
        assert (kinds.count("approval_expired"), kinds.count("decided")) == (1, 1)
        assert line.registry.champion("small-mlp") == "1"
        assert len(line.ledger.debts("small-mlp")) == 1
