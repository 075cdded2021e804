"""Debts of models, the people who must not come back, and the rollback floor."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from expunge.requests import (
    Batch,
    Decision,
    Fence,
    LedgerConflictError,
    ModelSight,
    TransitionError,
)
from tests.requests.conftest import World


def erased(world: World, fence: Fence, *people: str) -> Batch:
    world.file(*people)
    batch = world.claim(fence)
    rows = {claim.target_id: 5 for claim in world.ledger.claims(batch.id)}
    world.ledger.dispose(fence, batch.id, [], {}, rows)
    world.erase(fence, batch.id)
    return batch


def absent(world: World, fence: Fence, person: str) -> str:
    """A request of someone whose rows are not there; returns its id."""
    (request_id,) = world.file(person)
    batch = world.claim(fence)
    gone = [claim.target_id for claim in world.ledger.claims(batch.id)]
    world.ledger.dispose(fence, batch.id, gone, {}, {})
    world.ledger.finish(fence, batch.id)
    return request_id


def test_an_erasure_is_recorded_once(world: World) -> None:
    with world.ledger.lock("digits") as fence:
        world.ingest(fence)
        batch = erased(world, fence, "a")
        version = world.ledger.current_version("digits")
        again = world.ledger.record_erasure(
            fence,
            batch.id,
            md5="other.dir",
            commit="other",
            rows=1,
            shards=1,
            shards_rewritten=1,
            trained={},
            models={},
        )
    assert again == version == world.ledger.versions("digits")[-1]
    assert version is not None
    assert (version.ordinal, version.kind, version.ingest) == (2, "erasure", 1)
    assert version.batch_id == batch.id


def test_an_erasure_needs_a_validated_batch(world: World) -> None:
    world.file("a")
    with world.ledger.lock("digits") as fence:
        world.ingest(fence)
        batch = world.claim(fence)
        with pytest.raises(TransitionError, match="validated"):
            world.ledger.record_erasure(
                fence,
                batch.id,
                md5="x",
                commit="y",
                rows=1,
                shards=1,
                shards_rewritten=1,
                trained={},
                models={},
            )
    assert len(world.ledger.versions("digits")) == 1


def test_an_ingest_is_recorded_once_and_numbered_upwards(world: World) -> None:
    with world.ledger.lock("digits") as fence:
        for number in (1, 1, 2):
            world.ingest(fence, number)
        with pytest.raises(LedgerConflictError, match="number the ingest 3"):
            world.ledger.record_ingest(
                fence, dataset="digits", md5="m", commit="c", ingest=2, rows=1, shards=1
            )
    assert [version.ordinal for version in world.ledger.versions("digits")] == [1, 2]


def test_a_model_that_never_saw_the_person_owes_nothing(world: World) -> None:
    with world.ledger.lock("digits") as fence:
        world.ingest(fence)
        world.file("in-training", "later", "held-out")
        batch = world.claim(fence)
        one, two, three = (claim.target_id for claim in world.ledger.claims(batch.id))
        trained = {one: {1: 5}, two: {2: 5}, three: {}}
        sights = {"cnn": ModelSight(1), "mlp": ModelSight(2), "new": ModelSight(None)}
        world.erase(fence, batch.id, trained=trained, sights=sights)
    owed = {
        request.targets[0].id: {each.model: each.state for each in request.targets[0].settlements}
        for request in world.ledger.requests()
    }
    assert owed[one] == {"cnn": "pending", "mlp": "pending", "new": "not_needed"}
    assert owed[two] == {"cnn": "not_needed", "mlp": "pending", "new": "not_needed"}
    assert owed[three] == {"cnn": "not_needed", "mlp": "not_needed", "new": "not_needed"}
    assert world.states() == ["erased_model_pending", "erased_model_pending", "completed"]


def test_a_batch_finishes_when_all_its_models_are_decided(world: World) -> None:
    with world.ledger.lock("digits") as fence:
        world.ingest(fence)
        world.file("a")
        batch = world.claim(fence)
        world.erase(fence, batch.id, sights={"cnn": ModelSight(1), "mlp": ModelSight(1)})
        world.ledger.settle(fence, batch.id, "cnn", decision="promoted", version="2")
        assert world.ledger.batch(batch.id).state == "published"
        assert world.states() == ["erased_model_pending"]
        for _ in range(2):
            world.ledger.settle(fence, batch.id, "mlp", decision="retrained", version="4")
        assert world.ledger.batch(batch.id).state == "finished"
    assert world.states() == ["completed"]
    assert world.kinds(model="mlp") == ["decided", "settled"]


def test_a_held_model_owes_until_a_later_batch_is_promoted(world: World) -> None:
    with world.ledger.lock("digits") as fence:
        world.ingest(fence)
        first = erased(world, fence, "a")
        world.ledger.settle(fence, first.id, "cnn", decision="held", version=None)
        assert world.ledger.batch(first.id).state == "finished"
        assert world.states() == ["erased_model_pending"]
        second = erased(world, fence, "b")
        assert world.ledger.debts("cnn") == (first.id, second.id)
        world.ledger.settle(fence, second.id, "cnn", decision="promoted", version="3")
    assert world.ledger.debts("cnn") == ()
    assert world.states() == ["completed", "completed"]
    settled = [request.targets[0].settlements[0] for request in world.ledger.requests()]
    assert [(each.state, each.version) for each in settled] == [("settled", "3")] * 2


def test_a_decision_cannot_be_taken_back(world: World) -> None:
    with world.ledger.lock("digits") as fence:
        world.ingest(fence)
        batch = erased(world, fence, "a")
        with pytest.raises(TransitionError, match="without a version"):
            world.ledger.settle(fence, batch.id, "cnn", decision="promoted", version=None)
        world.ledger.settle(fence, batch.id, "cnn", decision="promoted", version="2")
        with pytest.raises(TransitionError, match="promoted"):
            world.ledger.settle(fence, batch.id, "cnn", decision="held", version=None)


def test_a_clean_training_pays_the_debts_up_to_its_dataset_version(world: World) -> None:
    with world.ledger.lock("digits") as fence:
        world.ingest(fence)
        first = erased(world, fence, "a")
        world.ledger.settle(fence, first.id, "cnn", decision="held", version=None)
        second = erased(world, fence, "b")
        world.ledger.settle(fence, second.id, "cnn", decision="held", version=None)
        world.model(fence, "5", dataset_ordinal=2, clean_as_of=2)
        world.ledger.settle_by_training(fence, "cnn", "5")
        assert world.ledger.debts("cnn") == (second.id,)
        assert world.states() == ["completed", "erased_model_pending"]
        world.model(fence, "6", dataset_ordinal=3, clean_as_of=3)
        for _ in range(2):
            world.ledger.settle_by_training(fence, "cnn", "6")
    assert world.ledger.debts("cnn") == () and world.states() == ["completed", "completed"]


def test_a_second_request_cites_the_first_even_after_a_key_rotation(world: World) -> None:
    with world.ledger.lock("digits") as fence:
        world.ingest(fence)
        batch = erased(world, fence, "a")
        world.ledger.settle(fence, batch.id, "cnn", decision="promoted", version="2")
        world.keys.rotate_reference()
        second = world.ledger.request(absent(world, fence, "a"))
    first = world.ledger.request(world.filed["1"])
    assert second.subject_ref != first.subject_ref
    assert second.state == "already_erased"
    assert second.targets[0].cites == first.id


def test_a_second_request_joins_a_batch_that_still_owes(world: World) -> None:
    with world.ledger.lock("digits") as fence:
        world.ingest(fence)
        first = erased(world, fence, "a")
        world.ledger.settle(fence, first.id, "cnn", decision="held", version=None)
        world.keys.rotate_reference()
        joined = absent(world, fence, "a")
        target = world.ledger.request(joined).targets[0]
        assert (target.state, target.batch_id) == ("erased_model_pending", first.id)
        assert [each.state for each in target.settlements] == ["held"]
        last = erased(world, fence, "b")
        world.ledger.settle(fence, last.id, "cnn", decision="promoted", version="3")
    assert world.states() == ["completed"] * 3


def test_the_suppression_list_knows_people_under_every_key(world: World) -> None:
    with world.ledger.lock("digits") as fence:
        world.ingest(fence)
        assert world.ledger.suppressed("digits").contains(["a"]) == set()
        for person in ("a", "b"):
            batch = erased(world, fence, person)
            world.ledger.settle(fence, batch.id, "cnn", decision="promoted", version=f"v-{person}")
            world.keys.rotate_reference()
    listed = world.ledger.suppressed("digits")
    assert listed.contains(["a", "b", "c"]) == {"a", "b"}
    assert len(listed) == 2
    assert world.ledger.suppressed("faces").contains(["a", "b"]) == set()


def test_a_lost_reference_key_stops_the_filter_instead_of_letting_people_back(world: World) -> None:
    with world.ledger.lock("digits") as fence:
        world.ingest(fence)
        erased(world, fence, "a")
    for file in world.keys.folder.glob("reference-*"):
        file.unlink()
    with pytest.raises(LedgerConflictError, match="reference key"):
        world.ledger.suppressed("digits")


def test_the_floor_is_the_oldest_champion_without_erased_rows(world: World) -> None:
    with world.ledger.lock("digits") as fence:
        world.ingest(fence)
        world.model(fence, "1")
        world.ledger.record_promotion(fence, "cnn", "1")
        assert world.ledger.floor("cnn") == "1" and world.ledger.may_serve("cnn", "1")
        batch = erased(world, fence, "a")
        assert not world.ledger.may_serve("cnn", "1") and world.ledger.floor("cnn") is None
        world.model(fence, "2", kind="unlearned", parent="1", clean_as_of=2, batch_id=batch.id)
        assert world.ledger.may_serve("cnn", "2") and world.ledger.floor("cnn") is None
        for _ in range(2):
            world.ledger.record_promotion(fence, "cnn", "2")
    champion = world.ledger.champion("cnn")
    assert champion is not None and champion.version == world.ledger.floor("cnn") == "2"
    assert champion.promoted_at == world.clock()
    assert world.kinds(model="cnn").count("promoted") == 2
    assert [each.version for each in world.ledger.model_versions("cnn")] == ["1", "2"]


def test_a_model_version_is_recorded_once_and_with_one_content(world: World) -> None:
    with world.ledger.lock("digits") as fence:
        first = world.model(fence, "1")
        world.clock.forward(hours=1)
        assert world.model(fence, "1") == first
        with pytest.raises(LedgerConflictError, match="other content"):
            world.model(fence, "1", clean_as_of=9)
        with pytest.raises(Exception, match="no version 8"):
            world.ledger.record_promotion(fence, "cnn", "8")


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.booleans(), min_size=1, max_size=4))
def test_debts_are_the_batches_since_the_last_promotion(world: World, held: list[bool]) -> None:
    with world.ledger.lock("digits") as fence:
        if world.ledger.current_version("digits") is None:
            world.ingest(fence)
        owed = list(world.ledger.debts("cnn"))
        for number, is_held in enumerate(held):
            batch = erased(world, fence, f"person-{len(world.filed)}")
            version = None if is_held else f"{batch.id}-{number}"
            decision: Decision = "held" if is_held else "promoted"
            world.ledger.settle(fence, batch.id, "cnn", decision=decision, version=version)
            owed = [*owed, batch.id] if is_held else []
            assert list(world.ledger.debts("cnn")) == owed
