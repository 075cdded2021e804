"""A batch in counts and dates."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from expunge.requests import UnknownRecordError
from tests.requests.conftest import World


def test_requests_are_counted_by_regulation_with_their_dates_and_no_id(world: World) -> None:
    first, last = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 9, tzinfo=UTC)
    filed = [*world.file("a", received=last), *world.file("b", received=first)]
    filed += world.file("c", received=first, regulation="ccpa")
    with world.ledger.lock("digits") as fence:
        batch = world.claim(fence)
    due = [world.ledger.request(each).due_at for each in filed]
    found = world.ledger.summary(batch.id)
    gdpr, ccpa = found.asked
    assert (gdpr.regulation, gdpr.requests, gdpr.overdue) == ("gdpr", 2, 0)
    assert (gdpr.first_received, gdpr.last_received) == (first, last)
    assert (gdpr.first_due, gdpr.last_due) == (due[1], due[0])
    assert (ccpa.regulation, ccpa.requests, ccpa.first_due) == ("ccpa", 1, due[2])
    assert found.ended_at is None
    assert not [each for each in filed if each in repr(found)]


def test_overdue_is_counted_until_the_batch_ends(world: World) -> None:
    world.file("a", received=datetime(2026, 11, 1, tzinfo=UTC))
    with world.ledger.lock("digits") as fence:
        world.ingest(fence)
        batch = world.claim(fence)
        world.clock.forward(days=5)
        assert world.ledger.summary(batch.id).asked[0].overdue == 0
        world.clock.forward(days=40)
        assert world.ledger.summary(batch.id).asked[0].overdue == 1
        world.ledger.fail(fence, batch.id, "validation refused it")
    ended = world.clock()
    world.clock.forward(days=40)
    found = world.ledger.summary(batch.id)
    assert (found.ended_at, found.asked[0].requests, found.people) == (ended, 1, 0)


def test_a_person_who_asked_twice_is_erased_once(world: World) -> None:
    world.file("a", "a", "b")
    with world.ledger.lock("digits") as fence:
        world.ingest(fence)
        batch = world.claim(fence)
        rows = {claim.target_id: 5 for claim in world.ledger.claims(batch.id)}
        world.ledger.dispose(fence, batch.id, absent=[], blocked={}, rows=rows)
    found = world.ledger.summary(batch.id)
    assert (found.people, found.asked[0].requests) == (2, 3)


def test_of_an_unknown_batch_there_is_none(world: World) -> None:
    with pytest.raises(UnknownRecordError):
        world.ledger.summary("b-20261121-000000")
