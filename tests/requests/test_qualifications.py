"""Audit records: appended once, read in order, naming no one; and what edits cost together."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command

from expunge.keys import KeyRing
from expunge.requests import Ledger, LedgerConflictError, Qualification, UnknownRecordError
from expunge.requests.migrations.upgrade import HEAD, alembic_config
from tests.requests.conftest import World


def qualify(world: World, **values: Any) -> Qualification:
    defaults: dict[str, Any] = {
        "model": "cnn",
        "version": "1",
        "dataset_ordinal": 1,
        "strategy": "top_k",
        "settings": "0123456789abcdef",
        "request": "subjects",
        "metrics": {"auc": {"mean": 0.5, "values": [0.5, None]}},
        "outcome": "pass",
    }
    return world.ledger.qualify(**(defaults | values))


@pytest.fixture
def known(world: World) -> World:
    """A ledger that knows version 1 of `cnn`."""
    with world.ledger.lock("digits") as fence:
        world.ingest(fence)
        world.model(fence, "1")
    return world


def test_records_are_numbered_and_read_back_in_order(known: World) -> None:
    first = qualify(known)
    known.clock.forward(days=1)
    second = qualify(known, outcome="fail", request="rows")
    third = qualify(known, settings="fedcba9876543210")
    assert [record.id for record in (first, second, third)] == [1, 2, 3]
    assert first.dataset == "digits"
    assert (second.created_at - first.created_at).days == 1
    assert known.ledger.qualifications("cnn") == (first, second, third)
    assert known.ledger.qualifications("cnn", request="subjects") == (first, third)
    assert known.ledger.qualifications("cnn", settings=first.settings) == (first, second)
    assert known.ledger.qualifications("other") == ()


def test_a_record_has_an_event_without_the_metrics(known: World) -> None:
    record = qualify(known)
    (event,) = (each for each in known.ledger.events(model="cnn") if each.kind == "audited")
    assert (event.dataset, event.payload["record"]) == ("digits", record.id)
    assert event.payload["outcome"] == "pass"
    assert "metrics" not in event.payload


def test_an_unknown_version_and_numbers_that_are_none_are_refused(known: World) -> None:
    with pytest.raises(UnknownRecordError, match="version 7 of model cnn"):
        qualify(known, version="7")
    with pytest.raises(LedgerConflictError, match="JSON"):
        qualify(known, metrics={"auc": float("nan")})
    assert known.ledger.qualifications("cnn") == ()


@pytest.mark.parametrize(
    "change", ["UPDATE qualifications SET outcome = 'pass'", "DELETE FROM qualifications"]
)
def test_records_can_only_be_appended(known: World, change: str) -> None:
    qualify(known, outcome="fail")
    engine = sa.create_engine(known.owner)
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), engine.begin() as connection:
        connection.exec_driver_sql(change)
    engine.dispose()
    assert [record.outcome for record in known.ledger.qualifications("cnn")] == ["fail"]


def test_what_edits_cost_is_kept_with_a_version_and_told_of_the_champion(known: World) -> None:
    with known.ledger.lock("digits") as fence:
        made = known.model(
            fence, "2", kind="unlearned", edits=1, held_out_loss=0.1 + 0.2, hard_row_excess=1 / 3
        )
        again = known.model(
            fence, "2", kind="unlearned", edits=1, held_out_loss=0.1 + 0.2, hard_row_excess=1 / 3
        )
        known.ledger.record_promotion(fence, "cnn", "2")
    assert again == made
    assert known.ledger.model_versions("cnn")[0].held_out_loss is None
    (model,) = known.ledger.status().models
    assert (model.edits, model.held_out_loss, model.hard_row_excess) == (1, 0.1 + 0.2, 1 / 3)


def test_a_ledger_of_the_first_schema_keeps_its_content(blank_url: str, keys: KeyRing) -> None:
    url = blank_url.replace("postgresql://", "postgresql+psycopg://")
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        command.upgrade(alembic_config(connection), "0001")
        connection.exec_driver_sql(
            "INSERT INTO model_versions (model, version, position, dataset, dataset_ordinal, "
            "ingest_seen, clean_as_of, kind, run_id, edits, created_at) VALUES "
            "('cnn', '1', 1, 'digits', 1, 1, 1, 'trained', 'run', 0, '2026-01-01 00:00:00')"
        )
    with Ledger.open(blank_url, keys) as ledger:
        (version,) = ledger.model_versions("cnn")
        assert (version.version, version.held_out_loss, version.hard_row_excess) == (
            "1", None, None,
        )  # fmt: skip
        assert ledger.qualifications("cnn") == ()
    with engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
        assert found == HEAD
    engine.dispose()
