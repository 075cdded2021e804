"""Which decision is allowed in which state of a request, and what it leaves."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expunge.requests import TransitionError, UnknownRecordError
from expunge.requests.projection import projected
from expunge.requests.values import REQUEST_STATES
from tests.requests.conftest import World

VERBS = ("hold", "release", "deny", "cancel", "confirm")
ALLOWED = {
    "pending": {"hold", "deny", "cancel"},
    "on_hold": {"release", "deny"},
    "blocked": {"deny", "confirm"},
    "claimed": set(),
    "erased_model_pending": set(),
    "completed": set(),
    "denied": set(),
    "cancelled": set(),
    "no_match": set(),
    "already_erased": set(),
}
BECOMES = {
    "hold": "on_hold",
    "release": "pending",
    "deny": "denied",
    "cancel": "cancelled",
    "confirm": "pending",
}


def act(world: World, verb: str, request_id: str) -> None:
    reason = () if verb in ("release", "confirm") else ("because",)
    getattr(world.ledger, verb)(request_id, *reason)


def bring(world: World, state: str) -> str:
    """A request in `state`, by the way that the line goes."""
    (request_id,) = world.file("the-person")
    if state in ("on_hold", "denied", "cancelled"):
        act(world, {"on_hold": "hold", "denied": "deny", "cancelled": "cancel"}[state], request_id)
    if state not in ("pending", "on_hold", "denied", "cancelled"):
        walk(world, state)
    if state == "already_erased":
        (request_id,) = world.file("the-person")
        with world.ledger.lock("digits") as fence:
            batch = world.claim(fence)
            gone = [claim.target_id for claim in world.ledger.claims(batch.id)]
            world.ledger.dispose(fence, batch.id, gone, {}, {})
    assert world.ledger.request(request_id).state == state
    return request_id


def walk(world: World, state: str) -> None:
    with world.ledger.lock("digits") as fence:
        world.ingest(fence)
        batch = world.claim(fence)
        (claim,) = world.ledger.claims(batch.id)
        if state == "claimed":
            return
        absent = [claim.target_id] if state == "no_match" else []
        blocked = {claim.target_id: "everything"} if state == "blocked" else {}
        world.ledger.dispose(fence, batch.id, absent, blocked, {claim.target_id: 7})
        if state in ("no_match", "blocked"):
            return
        world.erase(fence, batch.id)
        if state != "erased_model_pending":
            world.ledger.settle(fence, batch.id, "cnn", decision="promoted", version="2")


@pytest.mark.parametrize("state", sorted(ALLOWED))
def test_only_the_allowed_decisions_pass(world: World, state: str) -> None:
    request_id = bring(world, state)
    before = world.ledger.request(request_id)
    for verb in VERBS:
        if verb not in ALLOWED[state]:
            with pytest.raises(TransitionError, match=rf"is {state}; {verb} is allowed only while"):
                act(world, verb, request_id)
    assert world.ledger.request(request_id) == before


@pytest.mark.parametrize(
    ("state", "verb"),
    [(state, verb) for state in sorted(ALLOWED) for verb in sorted(ALLOWED[state])],
)
def test_an_allowed_decision_moves_request_and_target(world: World, state: str, verb: str) -> None:
    request_id = bring(world, state)
    act(world, verb, request_id)
    request = world.ledger.request(request_id)
    assert request.state == request.targets[0].state == BECOMES[verb]
    expected = None if verb in ("release", "confirm") else "because"
    assert request.reason == request.targets[0].reason == expected
    assert list(world.ledger.events(request_id=request_id))[-1].payload == {"reason": expected}


def test_a_held_request_is_not_claimed_and_a_released_one_is(world: World) -> None:
    held, other = world.file("a", "b")
    world.ledger.hold(held, "identity check")
    with world.ledger.lock("digits") as fence:
        batch = world.claim(fence)
        assert [claim.request_id for claim in world.ledger.claims(batch.id)] == [other]
        world.ledger.fail(fence, batch.id, "test")
        world.ledger.release(held)
        batch = world.claim(fence)
        assert {claim.request_id for claim in world.ledger.claims(batch.id)} == {held, other}


def test_cancel_is_refused_once_one_of_two_datasets_is_done(world: World) -> None:
    (request_id,) = world.file("a", datasets=("digits", "faces"))
    with world.ledger.lock("digits") as fence:
        batch = world.claim(fence)
        assert world.ledger.request(request_id).state == "claimed"
        (claim,) = world.ledger.claims(batch.id)
        world.ledger.dispose(fence, batch.id, [claim.target_id], {}, {})
    assert world.ledger.request(request_id).state == "pending"
    with pytest.raises(TransitionError, match="partly done"):
        world.ledger.cancel(request_id, "changed their mind")
    with world.ledger.lock("faces") as fence:
        assert world.ledger.claims(world.claim(fence).id)[0].subject_id == "a"


def test_an_extension_moves_the_deadline_once(world: World) -> None:
    (request_id,) = world.file("a", received=datetime(2026, 11, 30, tzinfo=UTC))
    world.ledger.extend(request_id, "complex")
    assert world.ledger.request(request_id).due_at == datetime(2027, 2, 28, tzinfo=UTC)
    with pytest.raises(TransitionError, match="extended already"):
        world.ledger.extend(request_id, "again")


def test_an_unknown_request_is_named(world: World) -> None:
    with pytest.raises(UnknownRecordError, match="no request r-0"):
        world.ledger.hold("r-0", "x")
    with pytest.raises(UnknownRecordError, match="no request r-0"):
        world.ledger.request("r-0")


STATES = st.lists(st.sampled_from([s for s in REQUEST_STATES if s != "received"]), min_size=1)


@given(STATES)
def test_a_projection_is_one_of_the_states_and_order_does_not_matter(states: list[str]) -> None:
    assert projected(states) in states
    assert projected(states) == projected(reversed(states)) == projected(set(states))


@given(STATES)
def test_a_request_is_done_only_when_every_target_is(states: list[str]) -> None:
    open_states = {"on_hold", "pending", "claimed", "erased_model_pending", "blocked"}
    assert (projected(states) in open_states) == bool(open_states & set(states))
