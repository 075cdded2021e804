"""Claim: who is there, who is not, who has to be confirmed, and when to wait for more."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from expunge.dataset import Holding, look_up, summary
from expunge.line import Line, ingest, run_batch
from expunge.line.claim import _blocked, claim
from expunge.requests import Claim, Filing, Ledger
from tests.line.small import (
    CLASSES,
    PEOPLE,
    ROWS,
    file,
    people_in,
    person,
    respec,
    respec_dataset,
    run,
    states,
    table,
)

WAIT = {"inconclusive": "wait", "min_rows": 3 * ROWS, "max_wait_days": 14, "near_deadline_days": 5}


def claimed(line: Line) -> str | None:
    """The batch that the claim station makes, or None where it waits."""
    with line.lock("small") as fence:
        return claim(line, "small", fence)


def ago(**time: int) -> datetime:
    return datetime.now(UTC) - timedelta(**time)


def test_held_out_and_unknown_people_need_no_model(line: Line) -> None:
    requests = file(line, *people_in(line, "E", 1), "a person who never was there")
    report = run(line)
    assert report.models == ()
    assert states(line, requests) == ["completed", "no_match"]
    assert line.registry.champion("small-mlp") == "1"
    again = file(line, *people_in(line, "E", 1), first=10)
    assert run(line).dataset.rows_erased == 0
    (target,) = line.ledger.request(again[0]).targets
    assert (target.state, target.cites) == ("already_erased", requests[0])
    assert len(line.ledger.versions("small")) == 2


def test_whoever_holds_a_whole_class_is_blocked_until_confirmed_and_the_others_go_on(
    line: Line, tmp_path: Path
) -> None:
    respec_dataset(line, classes=CLASSES + 1)
    (alone,) = people_in(line, "T", 1, among=range(PEOPLE, 2 * PEOPLE))
    rows = table(range(PEOPLE, 2 * PEOPLE))
    rows = rows.filter(pa.compute.equal(rows["subject_id"], alone))
    own = pa.array([CLASSES] * ROWS)
    pq.write_table(rows.set_column(2, "label", own), tmp_path / "alone.parquet")
    ingest(line, "small", tmp_path / "alone.parquet")

    requests = file(line, alone, *people_in(line, "E", 1))
    report = run(line)
    assert states(line, requests) == ["blocked", "completed"]
    assert report.requests == {"blocked": 1, "completed": 1}
    assert "1 class" in str(line.ledger.request(requests[0]).reason)
    assert line.ledger.versions("small")[-1].rows == PEOPLE * ROWS

    line.ledger.confirm(requests[0])
    run(line)
    assert states(line, requests) == ["completed", "completed"]
    assert line.ledger.versions("small")[-1].rows == (PEOPLE - 1) * ROWS


def test_the_claim_that_would_empty_the_dataset_is_blocked(line: Line) -> None:
    everyone = [person(number) for number in range(PEOPLE)]
    store = line.store(line.workspace.dataset("small"))
    held_out = {
        subject: holding
        for subject, holding in look_up(
            store, line.workspace.keys.placement("small"), everyone
        ).items()
        if not holding.trained_by_ingest
    }
    claims = _claims(held_out)
    only = summary(store)
    left = type(only)(**{**vars(only), "rows": len(held_out) * ROWS})
    reasons = _blocked(claims, held_out, left)
    assert reasons == {len(claims) - 1: "would erase every row of the dataset"}


def _claims(holdings: Mapping[str, Holding]) -> list[Claim]:
    return [
        Claim(number, f"r-{number}", subject, "", confirmed=False, disposition=None)
        for number, subject in enumerate(sorted(holdings))
    ]


def test_a_model_that_waits_has_its_targets_collected_until_there_are_rows_enough(
    line: Line,
) -> None:
    respec(line, gate=WAIT)
    first, *others = people_in(line, "T", 3)
    requests = file(line, first, received=ago(hours=1))
    assert run_batch(line, "small") is None
    assert states(line, requests) == ["pending"]
    assert [batch.state for batch in line.ledger.batches()] == ["postponed"]
    assert not list(line.workspace.settings.folders.keys.glob("data-b-*.key"))
    file(line, *others, first=10, received=ago(hours=1))
    batch = claimed(line)
    assert batch is not None
    assert len(line.ledger.claims(batch)) == 3


@pytest.mark.parametrize(
    ("received", "policy"),
    [
        ({"days": 15}, {}),
        ({"days": 27}, {"max_wait_days": 100}),
    ],
    ids=["a request waited long enough", "a deadline is near"],
)
def test_a_model_does_not_wait_any_longer_when(
    line: Line, received: dict[str, int], policy: dict[str, Any]
) -> None:
    respec(line, gate={**WAIT, **policy})
    file(line, *people_in(line, "T", 1), received=ago(**received))
    assert claimed(line) is not None


def test_a_claim_that_was_killed_before_it_postponed_is_postponed_by_the_next_run(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    respec(line, gate=WAIT)
    requests = file(line, *people_in(line, "T", 1), received=ago(hours=1))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Ledger, "postpone", killed)
        claimed(line)
    assert run_batch(line, "small") is None
    assert states(line, requests) == ["pending"]
    assert len(line.ledger.versions("small")) == 1


def test_in_a_dataset_that_nothing_was_ever_ingested_into_there_is_nobody(line: Line) -> None:
    spec = (line.workspace.root / "data/small.yaml").read_text()
    (line.workspace.root / "data/empty.yaml").write_text(spec.replace("small", "empty"))
    filing = Filing("portal", "T-1", "somebody", "gdpr", datetime.now(UTC), ("empty",))
    (filed,) = line.ledger.file([filing])
    report = run_batch(line, "empty")
    assert report is not None
    assert (report.state, report.dataset.version_after) == ("finished", None)
    assert line.ledger.request(filed.request_id).state == "no_match"
