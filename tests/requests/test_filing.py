"""Filing is idempotent, tells a conflict, and keeps subjects out of everything but the vault."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from expunge.requests import Filing, FilingError
from tests.requests.conftest import World

BASE = Filing("crm", "1", "person-1", "gdpr", datetime(2026, 1, 31, 9, tzinfo=UTC), ("digits",))


def outcomes(world: World, *filings: Filing) -> list[str]:
    return [done.outcome for done in world.ledger.file(filings)]


def test_the_same_again_is_a_no_op(world: World) -> None:
    assert outcomes(world, BASE, BASE) == ["accepted", "duplicate"]
    assert outcomes(world, BASE) == ["duplicate"]
    assert world.kinds() == ["received"]


def test_the_same_again_is_known_after_the_reference_key_was_rotated(world: World) -> None:
    assert outcomes(world, BASE) == ["accepted"]
    world.keys.rotate_reference()
    assert outcomes(world, BASE) == ["duplicate"]


@pytest.mark.parametrize(
    "change",
    [
        {"subject_id": "person-2"},
        {"regulation": "ccpa"},
        {"received_at": datetime(2026, 1, 30, 9, tzinfo=UTC)},
        {"datasets": ("digits", "faces")},
    ],
)
def test_another_payload_under_the_same_key_is_a_conflict(
    world: World, change: dict[str, Any]
) -> None:
    (first,) = world.ledger.file([BASE])
    before = world.ledger.request(first.request_id)
    (second,) = world.ledger.file([replace(BASE, **change)])
    assert (second.request_id, second.outcome) == (first.request_id, "conflict")
    assert world.ledger.request(first.request_id) == before
    assert world.kinds(request_id=first.request_id) == ["received", "conflict_refused"]


def test_a_filing_without_a_time_is_received_now_and_stays_the_same_later(world: World) -> None:
    filing = replace(BASE, received_at=None)
    (first,) = world.ledger.file([filing])
    assert world.ledger.request(first.request_id).received_at == world.clock()
    world.clock.forward(days=2)
    assert outcomes(world, filing) == ["duplicate"]


def test_a_request_in_two_datasets_has_two_targets_and_a_calendar_deadline(world: World) -> None:
    (done,) = world.ledger.file([replace(BASE, datasets=("digits", "faces"))])
    request = world.ledger.request(done.request_id)
    assert [(t.dataset, t.state) for t in request.targets] == [
        ("digits", "pending"),
        ("faces", "pending"),
    ]
    assert request.due_at == datetime(2026, 2, 28, 9, tzinfo=UTC)


def test_filings_are_streamed_in_chunks_and_requests_in_pages(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("expunge.requests.filing.CHUNK", 40)
    monkeypatch.setattr("expunge.requests.reading._PAGE", 30)
    many = [replace(BASE, external_id=str(n), subject_id=f"p{n}") for n in range(101)]
    filed = world.ledger.file(iter(many))
    first = next(filed)
    assert world.ledger.request(first.request_id).state == "pending"
    assert len(list(world.ledger.requests())) == 40
    assert len(list(filed)) == 100
    assert len({request.id for request in world.ledger.requests(dataset="digits")}) == 101
    assert len(list(world.ledger.requests(limit=71))) == 71
    assert list(world.ledger.requests(state="claimed")) == []


def test_requests_come_in_order_of_deadline(world: World) -> None:
    late, soon = (
        world.file("a", received=datetime(2026, 11, 2, tzinfo=UTC)),
        world.file("b", received=datetime(2026, 11, 1, tzinfo=UTC)),
    )
    assert [request.id for request in world.ledger.requests()] == soon + late


UNFIT: tuple[dict[str, Any], ...] = (
    {"subject_id": ""},
    {"subject_id": "per\0son"},
    {"subject_id": "\ud800secret"},
    {"subject_id": "secret" * 400},
    {"subject_id": 7},
    {"regulation": "hipaa"},
    {"received_at": datetime(2026, 1, 1)},
    {"datasets": ()},
    {"datasets": ("../etc",)},
    {"datasets": ("digits", "digits")},
)


def test_an_unfit_filing_is_refused_without_its_content(world: World) -> None:
    for change in UNFIT:
        with pytest.raises(FilingError) as refused:
            list(world.ledger.file([replace(BASE, external_id="9"), replace(BASE, **change)]))
        assert "secret" not in str(refused.value)
    assert list(world.ledger.requests()) == []


def test_a_subject_is_in_no_repr(world: World) -> None:
    world.file("very-secret")
    with world.ledger.lock("digits") as fence:
        claims = world.ledger.claims(world.claim(fence).id)
    assert claims[0].subject_id == "very-secret"
    assert "very-secret" not in repr(claims) + repr(BASE) + repr(list(world.ledger.requests()))
