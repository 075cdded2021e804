"""A real ledger that one batch has gone through: a refusal at the gate, then a promotion."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from expunge.keys import KeyRing
from expunge.requests import Derived, Fence, Filing, Ledger, ModelSight, ModelVersion

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
PEOPLE = ("writer-0007", "writer-0311", "writer-9999")
MODEL = "digits-cnn"


@dataclass(frozen=True)
class Story:
    """A ledger after one batch: the first two people erased, the third never there."""

    ledger: Ledger
    requests: tuple[str, ...]
    batch_id: str


@contextmanager
def story_in(folder: Path) -> Iterator[Story]:
    """The story, told in a ledger of its own."""
    url, keys = f"sqlite:///{folder / 'ledger.db'}", KeyRing(folder / "keys")
    with Ledger.open(url, keys, clock=lambda: NOW) as ledger, ledger.lock("digits") as fence:
        yield _told(ledger, fence)


def _told(ledger: Ledger, fence: Fence) -> Story:
    ledger.record_ingest(
        fence,
        dataset="digits",
        md5="a" * 32 + ".dir",
        commit="c" * 40,
        ingest=1,
        rows=8000,
        shards=64,
    )
    _record(ledger, fence, "1", dataset_ordinal=1, clean_as_of=1)
    ledger.record_promotion(fence, MODEL, "1")
    _derive(ledger, fence)
    filings = [
        Filing("crm", f"ticket-{n}", person, "gdpr", NOW, ("digits",))
        for n, person in enumerate(PEOPLE)
    ]
    requests = tuple(filed.request_id for filed in ledger.file(filings))
    batch = ledger.claim(fence, champions={MODEL: "1"}, limit=10)
    assert batch is not None
    targets = {claim.request_id: claim.target_id for claim in ledger.claims(batch.id)}
    first, second, unknown = (targets[request] for request in requests)
    ledger.dispose(fence, batch.id, absent=[unknown], blocked={}, rows={first: 20, second: 20})
    ledger.conclude(
        fence, batch.id, "stage", {"rows_erased": 40, "touched": [4, 9]}, state="staged"
    )
    ledger.conclude(fence, batch.id, "validate", {"success": True}, state="validated")
    ledger.record_erasure(
        fence,
        batch.id,
        md5="b" * 32 + ".dir",
        commit="d" * 40,
        rows=7960,
        shards=64,
        shards_rewritten=2,
        trained={first: {1: 20}, second: {}},
        models={MODEL: ModelSight(1)},
    )
    _judge(ledger, fence, batch.id, 0, "top_k", "fail", 0.71)
    _judge(ledger, fence, batch.id, 1, "random_k", "pass", 0.52)
    _record(
        ledger,
        fence,
        "2",
        dataset_ordinal=2,
        clean_as_of=2,
        kind="unlearned",
        parent="1",
        batch_id=batch.id,
        strategy="random_k",
        edits=1,
    )
    ledger.record_promotion(fence, MODEL, "2")
    ledger.settle(fence, batch.id, MODEL, decision="promoted", version="2")
    ledger.conclude(fence, batch.id, "promote", {"version_after": "2"}, part=f"{MODEL}/1/1")
    return Story(ledger, requests, batch.id)


def _record(ledger: Ledger, fence: Fence, version: str, **values: Any) -> None:
    defaults: dict[str, Any] = {
        "kind": "trained",
        "parent": None,
        "batch_id": None,
        "strategy": None,
        "edits": 0,
    }
    made = ModelVersion(
        model=MODEL,
        version=version,
        dataset="digits",
        ingest_seen=1,
        run_id=f"run{version}",
        created_at=NOW,
        **{**defaults, **values},
    )
    ledger.record_model(fence, made)


def _derive(ledger: Ledger, fence: Fence) -> None:
    made = Derived("ref-0", "reference", "digits", 1, "R", "refs/0", "e" * 64, "valid", NOW)
    ledger.record_derived(fence, made)


def _judge(
    ledger: Ledger, fence: Fence, batch_id: str, rung: int, strategy: str, outcome: str, auc: float
) -> None:
    criterion = {
        "name": "hard_row_auc",
        "estimate": auc,
        "reference": 0.5,
        "margin": 0.15,
        "outcome": outcome,
    }
    verdict = {"strategy": strategy, "outcome": outcome, "why": "", "criteria": [criterion]}
    ledger.conclude(fence, batch_id, "gate", verdict, part=f"{MODEL}/1/{rung}")
