"""The ledger at a glance, and what was derived from people's rows."""

from __future__ import annotations

from datetime import UTC, datetime

from expunge.requests import Deadlines, Derived
from tests.requests.conftest import World


def test_open_requests_are_counted_by_deadline(world: World) -> None:
    for received in ("2026-10-20", "2026-10-22", "2026-11-20", "2026-10-23"):
        world.file(received, received=datetime.fromisoformat(received).replace(tzinfo=UTC))
    world.ledger.cancel(world.filed["4"], "withdrawn")
    status = world.ledger.status()
    assert status.deadlines == Deadlines(on_time=1, due_in_5_days=1, past_due=1)
    assert status.requests == {"pending": 3, "cancelled": 1}
    later = world.ledger.status(datetime(2027, 1, 1, tzinfo=UTC))
    assert later.deadlines == Deadlines(on_time=0, due_in_5_days=0, past_due=3)


def test_models_and_datasets_are_summed_up(world: World) -> None:
    world.file("a")
    with world.ledger.lock("digits") as fence:
        world.ingest(fence)
        world.model(fence, "1")
        world.ledger.record_promotion(fence, "cnn", "1")
        batch = world.claim(fence)
        world.erase(fence, batch.id)
        world.ledger.settle(fence, batch.id, "cnn", decision="held", version=None)
    status = world.ledger.status()
    (model,), (dataset,) = status.models, status.datasets
    assert (model.champion, model.floor, model.debts) == ("1", None, (batch.id,))
    assert (dataset.dataset, dataset.versions, dataset.suppressed) == ("digits", 2, 1)
    assert dataset.version == world.ledger.current_version("digits")
    assert status.batches == {"finished": 1}


def test_derived_artifacts_become_invalid_by_role_once(world: World) -> None:
    def made(key: str, roles: str) -> Derived:
        return Derived(
            key, "reference", "digits", 1, roles, f"{key}.pt", "d", "valid", world.clock()
        )

    with world.ledger.lock("digits") as fence:
        world.ledger.record_derived(None, made("references", "R"))
        world.ledger.record_derived(fence, made("generator", "RF"))
        world.ledger.record_derived(fence, made("generator", "RF"))
        assert world.ledger.invalidate_derived(fence, "digits", {"F", "E"}) == 1
        assert world.ledger.invalidate_derived(fence, "digits", {"F", "E"}) == 0
        generator = world.ledger.derived("generator")
        assert generator is not None and generator.state == "invalid"
        world.ledger.record_derived(fence, made("generator", "RF"))
    assert [each.state for each in world.ledger.derived_of("digits")] == ["valid", "valid"]
    assert world.ledger.derived("absent") is None
    assert world.kinds(dataset="digits") == ["derived", "derived", "invalidated", "derived"]
