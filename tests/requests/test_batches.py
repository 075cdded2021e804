"""Claims, dispositions, outcomes and effects of a batch."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from expunge.keys import KeyMissingError
from expunge.requests import LedgerConflictError, TransitionError, UnknownRecordError
from tests.requests.conftest import World


def test_claims_come_due_first_and_up_to_the_limit(world: World) -> None:
    for day in (3, 1, 2):
        world.file(f"person-{day}", received=datetime(2026, 11, day, tzinfo=UTC))
    with world.ledger.lock("digits") as fence:
        batch = world.claim(fence, limit=2)
        people = [claim.subject_id for claim in world.ledger.claims(batch.id)]
    assert people == ["person-1", "person-2"]
    assert world.states() == ["pending", "claimed", "claimed"]
    assert batch.champions == {"cnn": "1"}


def test_an_open_batch_is_resumed_with_the_champions_of_its_claim(world: World) -> None:
    world.file("a")
    with world.ledger.lock("digits") as fence:
        batch = world.claim(fence)
        world.file("b")
    with world.ledger.lock("digits") as fence:
        assert world.ledger.claim(fence, champions={"cnn": "9"}, limit=9) == batch
    assert world.ledger.open_batch("digits") == batch == world.ledger.batch(batch.id)
    assert world.states() == ["claimed", "pending"]


def test_nothing_pending_makes_no_batch(world: World) -> None:
    with world.ledger.lock("digits") as fence:
        assert world.ledger.claim(fence, champions={}, limit=5) is None
    assert world.ledger.batches() == () and world.ledger.open_batch("digits") is None


def test_a_claim_seals_the_subjects_under_the_key_of_the_batch(world: World) -> None:
    world.file("a")
    with world.ledger.lock("digits") as fence:
        batch = world.claim(fence)
    assert world.keys.destroy("intake-202611")
    assert world.ledger.claims(batch.id)[0].subject_id == "a"
    assert world.keys.destroy(batch.id)
    with pytest.raises(KeyMissingError):
        world.ledger.claims(batch.id)


def test_a_failed_batch_frees_its_targets_and_their_subjects(world: World) -> None:
    world.file("a", "b")
    with world.ledger.lock("digits") as fence:
        failed = world.claim(fence)
        world.ledger.conclude(fence, failed.id, "stage", {}, state="staged")
        for _ in range(2):
            world.ledger.fail(fence, failed.id, "validation refused it")
        assert world.states() == ["pending", "pending"]
        assert world.ledger.batch(failed.id).reason == "validation refused it"
        world.keys.destroy(failed.id)
        again = world.claim(fence)
        assert again.id != failed.id
        assert [claim.subject_id for claim in world.ledger.claims(again.id)] == ["a", "b"]


def test_a_published_batch_cannot_fail(world: World) -> None:
    world.file("a")
    with world.ledger.lock("digits") as fence:
        world.ingest(fence)
        batch = world.claim(fence)
        world.erase(fence, batch.id)
        with pytest.raises(
            TransitionError, match=r"is published; becoming failed is allowed only while"
        ):
            world.ledger.fail(fence, batch.id, "too late")


def test_a_postponed_batch_frees_its_targets_and_stays_postponed(world: World) -> None:
    world.file("a")
    with world.ledger.lock("digits") as fence:
        batch = world.claim(fence)
        world.ledger.postpone(fence, batch.id, "too few rows yet")
        assert world.ledger.open_batch("digits") is None
        with pytest.raises(TransitionError, match="is postponed"):
            world.ledger.fail(fence, batch.id, "x")
        with pytest.raises(TransitionError, match="is postponed"):
            world.ledger.conclude(fence, batch.id, "stage", {}, state="staged")
    assert world.states() == ["pending"]
    assert world.ledger.request_states(batch.id) == {"pending": 1}


def test_people_who_never_were_there_end_no_match_and_the_rest_stays(world: World) -> None:
    world.file("there", "never")
    with world.ledger.lock("digits") as fence:
        batch = world.claim(fence)
        there, never = world.ledger.claims(batch.id)
        for _ in range(2):
            world.ledger.dispose(fence, batch.id, [never.target_id], {}, {there.target_id: 20})
        (left,) = world.ledger.claims(batch.id)
    assert (left.target_id, left.disposition) == (there.target_id, "erase")
    assert world.states() == ["claimed", "no_match"]
    assert world.ledger.request(there.request_id).targets[0].rows == 20
    assert world.kinds(request_id=never.request_id) == ["received", "claimed", "no_match"]


def test_a_blocked_request_waits_for_confirmation_while_the_others_go_on(world: World) -> None:
    world.file("all-of-a-class", "other")
    with world.ledger.lock("digits") as fence:
        world.ingest(fence)
        batch = world.claim(fence)
        whole, other = world.ledger.claims(batch.id)
        world.ledger.dispose(
            fence, batch.id, [], {whole.target_id: "a whole class"}, {other.target_id: 3}
        )
        assert world.states() == ["blocked", "claimed"]
        assert world.ledger.request(whole.request_id).reason == "a whole class"
        world.erase(fence, batch.id)
        world.ledger.settle(fence, batch.id, "cnn", decision="promoted", version="2")
        world.keys.destroy(batch.id)
        world.ledger.confirm(whole.request_id)
        (again,) = world.ledger.claims(world.claim(fence).id)
    assert (again.subject_id, again.confirmed) == ("all-of-a-class", True)


def test_two_requests_of_one_person_in_a_batch_are_settled_alike(world: World) -> None:
    world.file("same", "same", "other")
    with world.ledger.lock("digits") as fence:
        world.ingest(fence)
        batch = world.claim(fence)
        first, second, other = world.ledger.claims(batch.id)
        found = {first.target_id: 20, second.target_id: 20, other.target_id: 5}
        world.ledger.dispose(fence, batch.id, [], {}, found)
        claims = world.ledger.claims(batch.id)
        assert [claim.disposition for claim in claims] == ["erase", "same_person", "erase"]
        world.erase(fence, batch.id, trained={first.target_id: {1: 20}, other.target_id: {2: 5}})
        assert world.states() == ["erased_model_pending", "erased_model_pending", "completed"]
        world.ledger.settle(fence, batch.id, "cnn", decision="promoted", version="2")
    requests = [world.ledger.request(each) for each in world.filed.values()]
    assert world.states() == ["completed"] * 3
    assert [request.targets[0].rows for request in requests] == [20, 0, 5]
    assert requests[1].targets[0].cites == requests[0].id
    assert len(world.ledger.suppressed("digits")) == 2


def test_a_station_is_concluded_once(world: World) -> None:
    world.file("a")
    with world.ledger.lock("digits") as fence:
        batch = world.claim(fence)
        assert world.ledger.outcome(batch.id, "stage") is None
        first = world.ledger.conclude(fence, batch.id, "stage", {"rows": (1, 2)}, state="staged")
        again = world.ledger.conclude(fence, batch.id, "stage", {"rows": [9]}, state="staged")
        world.ledger.conclude(fence, batch.id, "evaluate", {"auc": 0.5}, part="cnn")
    assert first == again == world.ledger.outcome(batch.id, "stage") == {"rows": [1, 2]}
    assert world.ledger.outcome(batch.id, "evaluate", "cnn") == {"auc": 0.5}
    assert world.ledger.parts(batch.id, "evaluate") == ("cnn",)
    assert world.ledger.batch(batch.id).state == "staged"
    assert world.kinds(batch_id=batch.id).count("concluded") == 2
    assert world.kinds(batch_id=batch.id).count("batch_staged") == 1


def test_a_batch_advances_one_state_at_a_time(world: World) -> None:
    world.file("a")
    with world.ledger.lock("digits") as fence:
        batch = world.claim(fence)
        for state in ("validated", "published", "finished", "failed"):
            with pytest.raises(TransitionError, match="is claimed"):
                world.ledger.conclude(fence, batch.id, "x", {}, state=state)
        assert world.ledger.outcome(batch.id, "x") is None
        world.ledger.conclude(fence, batch.id, "stage", {}, state="staged")
        world.ledger.conclude(fence, batch.id, "validate", {}, state="validated")
        world.ledger.conclude(fence, batch.id, "stage", {}, state="staged")
    assert world.ledger.batch(batch.id).state == "validated"


def test_an_outcome_that_is_not_json_is_refused(world: World) -> None:
    world.file("a")
    with world.ledger.lock("digits") as fence:
        batch = world.claim(fence)
        for bad in ({"auc": float("nan")}, {"auc": object()}):
            with pytest.raises(LedgerConflictError, match="JSON"):
                world.ledger.conclude(fence, batch.id, "evaluate", bad)


def test_a_batch_with_nothing_left_can_be_finished(world: World) -> None:
    world.file("never")
    with world.ledger.lock("digits") as fence:
        batch = world.claim(fence)
        with pytest.raises(TransitionError, match="finish"):
            world.ledger.finish(fence, batch.id)
        world.ledger.dispose(fence, batch.id, [world.ledger.claims(batch.id)[0].target_id], {}, {})
        for _ in range(2):
            world.ledger.finish(fence, batch.id)
    assert world.ledger.batch(batch.id).state == "finished"
    assert world.ledger.open_batch("digits") is None


def test_an_effect_is_intended_once_and_done_once(world: World) -> None:
    world.file("a")
    with world.ledger.lock("digits") as fence:
        batch = world.claim(fence)
        key = f"publish:{batch.id}"
        assert world.ledger.effect(key) is None
        made = world.ledger.intend(fence, key, "publish", {"files": 2}, batch.id)
        assert made == world.ledger.intend(fence, key, "publish", {"files": 3}, batch.id)
        assert (made.state, made.detail, made.result) == ("intended", {"files": 2}, None)
        done = world.ledger.complete(fence, key, {"commit": "abc"})
        assert done == world.ledger.complete(fence, key, {"commit": "other"})
        assert done == world.ledger.effect(key)
        assert (done.state, done.result, done.batch_id) == ("done", {"commit": "abc"}, batch.id)
        with pytest.raises(LedgerConflictError):
            world.ledger.intend(fence, key, "promote", {})
        with pytest.raises(UnknownRecordError):
            world.ledger.complete(fence, "nothing", {})
        world.ledger.intend(fence, "publish:2", "publish", {})
    assert [each.key for each in world.ledger.open_effects("digits", "publish")] == ["publish:2"]
    assert world.kinds(batch_id=batch.id)[-2:] == ["intended", "done"]


def test_a_lock_covers_its_own_dataset_only(world: World) -> None:
    world.file("a")
    with world.ledger.lock("digits") as fence:
        batch = world.claim(fence)
    with (
        world.ledger.lock("faces") as other,
        pytest.raises(LedgerConflictError, match="does not cover"),
    ):
        world.ledger.conclude(other, batch.id, "stage", {})
