"""Questions to a person: put once, answered once, closed where there is nothing left to answer."""

from __future__ import annotations

from datetime import timedelta

import pytest

from expunge.requests import Approval, LockLostError, TransitionError
from tests.requests.conftest import World


@pytest.fixture
def asked(world: World) -> Approval:
    """A batch of one person, and the question about its candidate."""
    world.file("ada")
    with world.ledger.lock("digits") as fence:
        world.ingest(fence)
        batch = world.claim(fence)
        question = Approval(
            batch_id=batch.id,
            part="cnn/1/0",
            model="cnn",
            base="1",
            version="2",
            digest="0" * 64,
            asked_at=world.clock(),
            expires_at=world.clock() + timedelta(hours=72),
        )
        assert world.ledger.ask_approval(fence, question) == question
        again = world.ledger.ask_approval(fence, question)
    assert again == question
    return again


def _answer(world: World, asked: Approval, verdict: str) -> Approval:
    return world.ledger.decide_approval(
        asked.batch_id,
        None,
        verdict,  # type: ignore[arg-type]
        by="grace",
        reason="looked at it",
    )


def test_a_question_is_put_once_and_answered_once(world: World, asked: Approval) -> None:
    answered = _answer(world, asked, "approved")
    assert (answered.state, answered.decided_by, answered.decided_at) == (
        "approved",
        "grace",
        world.clock(),
    )
    assert _answer(world, asked, "approved") == answered
    with pytest.raises(TransitionError, match="is approved"):
        _answer(world, asked, "rejected")
    assert world.ledger.approvals(asked.batch_id) == (answered,)
    assert world.ledger.status().approvals == ()
    assert world.kinds(model="cnn") == ["approval_asked", "approved"]


def test_the_answer_that_came_first_stands_and_a_yes_can_only_become_void(
    world: World, asked: Approval
) -> None:
    _answer(world, asked, "approved")
    with world.ledger.lock("digits") as fence:
        assert world.ledger.close_approval(fence, asked, "expired", "late").state == "approved"
        assert world.ledger.close_approval(fence, asked, "void", "moved").state == "void"
        assert world.ledger.close_approval(fence, asked, "expired", "late").state == "void"
    with pytest.raises(LockLostError):
        world.ledger.ask_approval(fence, asked)
    with pytest.raises(TransitionError, match="is void"):
        _answer(world, asked, "approved")


def test_an_answer_after_the_end_is_refused(world: World, asked: Approval) -> None:
    world.clock.forward(hours=72)
    with pytest.raises(TransitionError, match="is expired"):
        _answer(world, asked, "approved")
    assert world.ledger.approvals(asked.batch_id) == (asked,)


def test_what_waits_is_told_until_when(world: World, asked: Approval) -> None:
    assert world.ledger.status().approvals == (asked,)
    backlog = world.ledger.backlog("digits")
    assert (backlog.pending, backlog.due_at, backlog.busy) == (0, None, False)
    assert backlog.open_batch is not None
    assert backlog.nearest == world.ledger.request(world.filed["1"]).due_at
    with world.ledger.lock("digits"):
        assert world.ledger.backlog("digits").busy
