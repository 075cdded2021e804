"""What a monitoring system is told of a ledger, on both databases."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from expunge.line.metrics import LedgerCollector
from expunge.requests.errors import LedgerUnavailableError
from expunge.requests.watch import Watch
from tests.requests.conftest import World

ANNE, BOB = "anne-whose-name-stays-inside", "bob-whose-name-stays-inside"


def collected(collector: LedgerCollector) -> dict[str, float]:
    """Every sample, by its name and label values."""
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry()
    registry.register(collector)
    found = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            key = " ".join([sample.name, *map(str, sample.labels.values())])
            found[key.removeprefix("expunge_")] = sample.value
    return found


def test_backlog_deadlines_and_batches_are_told_as_they_change(world: World) -> None:
    collector = LedgerCollector(world.url, world.clock)
    world.file(ANNE, received=world.clock() - timedelta(days=40))
    world.file(BOB, received=world.clock() - timedelta(days=2))
    told = collected(collector)
    assert told["ledger_up"] == 1
    assert told["targets digits pending"] == 2
    assert told["targets digits blocked"] == 0
    assert told["oldest_request_age_seconds digits"] == 40 * 86_400
    assert -15 < told["nearest_deadline_days digits"] < -5
    assert told["overdue_targets digits"] == 1
    assert "last_batch_success_timestamp_seconds digits" not in told
    with world.ledger.lock("digits", lease_seconds=60) as fence:
        world.ingest(fence)
        world.model(fence, "1")
        batch = world.claim(fence)
        world.clock.forward(seconds=90)
        told = collected(collector)
        assert told["targets digits claimed"] == 2
        assert told["open_batch_age_seconds digits"] == 90
        assert told["open_batch_idle_seconds digits"] == 90
        assert told["lock_held digits"] == 1
        assert told["lock_held_seconds digits"] == 90
        assert told["lock_lease_seconds digits"] <= 60
        world.erase(fence, batch.id)
        told = collected(collector)
        assert told["open_batch_idle_seconds digits"] == 0
        assert told["model_debt_batches digits cnn"] == 1
        assert told["model_held digits cnn"] == 0
        world.ledger.settle(fence, batch.id, "cnn", decision="held", version=None)
        world.ledger.finish(fence, batch.id)
    told = collected(collector)
    assert told["model_held digits cnn"] == 1
    assert told["lock_held digits"] == 0
    assert told["lock_held_seconds digits"] == 0
    assert told["open_batch_age_seconds digits"] == 0
    assert told["last_batch_success_timestamp_seconds digits"] == world.clock().timestamp()
    assert told["targets digits erased_model_pending"] == 2


def test_what_only_grows_is_the_same_after_a_restart_of_the_exporter(world: World) -> None:
    collector = LedgerCollector(world.url, world.clock)
    world.file(ANNE, BOB)
    with world.ledger.lock("digits") as fence:
        world.ingest(fence)
        batch = world.claim(fence)
        for rung, (verdict, seconds) in enumerate([("fail", 4.0), ("pass", 70.0)]):
            part = f"cnn/1/{rung}"
            world.ledger.conclude(fence, batch.id, "unlearn", {"seconds": seconds}, part=part)
            collected(collector)
            world.ledger.conclude(fence, batch.id, "gate", {"outcome": verdict}, part=part)
        world.ledger.fail(fence, batch.id, "an expectation failed")
    told = collected(collector)
    assert told["gate_verdicts_total digits cnn fail"] == 1
    assert told["gate_verdicts_total digits cnn pass"] == 1
    assert told["model_seconds_total digits cnn unlearn"] == 74
    assert told["batches_failed_total digits"] == 1
    assert told["station_seconds_count digits unlearn"] == 2
    assert told["station_seconds_sum digits unlearn"] == 74
    assert told["station_seconds_bucket digits 5.0 unlearn"] == 1
    assert told["station_seconds_bucket digits +Inf unlearn"] == 2
    assert collected(LedgerCollector(world.url, world.clock)) == told


def test_no_request_and_no_person_is_in_any_label(world: World) -> None:
    requests = world.file(ANNE, BOB)
    refs = [world.ledger.request(each).subject_ref for each in requests]
    with world.ledger.lock("digits") as fence:
        world.ingest(fence)
        world.model(fence, "1")
        world.erase(fence, world.claim(fence).id)
    told = " ".join(collected(LedgerCollector(world.url, world.clock)))
    for private in (ANNE, BOB, *requests, *refs):
        assert private not in told


def test_watching_cannot_write(world: World) -> None:
    with (
        Watch.open(world.url) as watch,
        watch.engine.connect() as connection,
        pytest.raises(DBAPIError, match=r"read.?only"),
    ):
        connection.execute(text("UPDATE locks SET token = token"))


def test_a_ledger_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    with pytest.raises(LedgerUnavailableError, match="no ledger yet"), Watch.open(url):
        pass
    assert collected(LedgerCollector(url)) == {"ledger_up": 0}
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_holds_no_ledger_is_down_and_not_migrated(blank_url: str) -> None:
    assert collected(LedgerCollector(blank_url)) == {"ledger_up": 0}
