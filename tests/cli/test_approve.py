"""`expunge approve` and `reject`: who answered, why, and what comes next."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime, timedelta

import pytest

from expunge.requests import Approval
from tests.cli.conftest import Expunge


def ask(expunge: Expunge, *models: str) -> str:
    """A batch in which candidates of some models wait for approval; its id."""
    expunge.file("person-1")
    now = datetime.now(UTC)
    with expunge.ledger() as ledger, ledger.lock("people") as fence:
        batch = ledger.claim(fence, champions={}, limit=1)
        assert batch is not None
        for model in models:
            question = Approval(
                batch_id=batch.id,
                part=f"{model}/1/0",
                model=model,
                base="1",
                version="2",
                digest="0" * 64,
                asked_at=now,
                expires_at=now + timedelta(hours=72),
            )
            ledger.ask_approval(fence, question)
    return batch.id


@pytest.fixture(autouse=True)
def _no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)


def test_an_answer_is_kept_with_its_reason_and_who_gave_it(expunge: Expunge) -> None:
    batch = ask(expunge, "judge")
    assert [each["model"] for each in expunge.json("status")["approvals"]] == ["judge"]
    assert "waits for approval" in expunge("status").output
    said = expunge("approve", batch, "--reason", "checked the\n report")
    assert said.output.splitlines() == [
        f"judge version 2: approved by {getpass.getuser()}",
        f"`expunge run` goes on with batch {batch}.",
    ]
    with expunge.ledger() as ledger:
        (event,) = (each for each in ledger.events(batch_id=batch) if each.kind == "approved")
    assert (event.payload["by"], event.payload["reason"]) == (
        getpass.getuser(),
        "checked the report",
    )
    assert expunge.json("status")["approvals"] == []


def test_where_several_models_wait_one_has_to_be_named(expunge: Expunge) -> None:
    batch = ask(expunge, "judge", "other")
    refused = expunge("reject", batch, "--reason", "no")
    assert refused.exit_code == 1
    assert "judge, other" in refused.output
    answer = expunge.json("reject", batch, "--reason", "no", "--model", "other", "--by", "Ada")
    assert (answer["model"], answer["state"], answer["decided_by"]) == ("other", "rejected", "Ada")
    again = expunge("approve", batch, "--reason", "yes", "--model", "other")
    assert again.exit_code == 1
    assert "is rejected" in again.output


def test_a_reason_is_needed_and_something_has_to_wait(expunge: Expunge) -> None:
    assert expunge("approve", "b-1").exit_code == 2
    unknown = expunge("approve", "b-1", "--reason", "yes")
    assert unknown.exit_code == 1
    assert "no batch b-1" in unknown.output
