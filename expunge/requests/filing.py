"""Taking requests in: idempotent by source and external id, streamed in chunks.

A filing that comes again is a no-op; one that comes with another payload is a conflict, told
apart by a keyed digest, since a plain hash of an id can be guessed. Each chunk is one
transaction, so a killed import goes on where it was by importing the same file again.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection, func, select

from expunge.errors import TerminalError
from expunge.keys import DataKey, ReferenceKey
from expunge.requests import feeds, vault
from expunge.requests.bulk import insert_rows
from expunge.requests.chunks import chunked
from expunge.requests.deadlines import due_at
from expunge.requests.errors import FilingError
from expunge.requests.events import Draft, record
from expunge.requests.schema import requests, targets
from expunge.requests.schema import vault as vault_table
from expunge.requests.values import REGULATIONS, Feed, Filed, Filing
from expunge.specs import checked_name

if TYPE_CHECKING:
    from expunge.requests.store import Store

CHUNK = 10_000  # fewer would write the pages of the random indexes more often
_LONGEST = 1_000
_PLAIN = re.compile(rf"[!-~][ -~]{{0,{_LONGEST - 1}}}").fullmatch
"""Most texts: nothing in them that need be looked at one by one."""


class _RequestRow(NamedTuple):
    """A row of `requests`, in the order of its columns."""

    id: str
    source: str
    external_id: str
    subject_ref: str
    key_id: str
    regulation: str
    received_at: datetime
    due_at: datetime
    extended: bool = False
    state: str = "pending"
    reason: None = None
    payload_digest: str = ""


class _TargetRow(NamedTuple):
    """A row of `targets`, in the order of its columns."""

    id: int
    request_id: str
    dataset: str
    due_at: datetime
    state: str = "pending"
    batch_id: None = None
    reason: None = None
    cites: None = None
    rows: int = 0
    confirmed: bool = False
    disposition: None = None


@dataclass
class _Rows:
    """What one chunk adds, by table."""

    last_target: int
    requests: list[_RequestRow] = field(default_factory=list)
    targets: list[_TargetRow] = field(default_factory=list)
    vault: list[tuple[int, str, bytes]] = field(default_factory=list)
    events: list[Draft] = field(default_factory=list)
    payloads: dict[tuple[str, ...], dict[str, Any]] = field(default_factory=dict)


def file(store: Store, filings: Iterable[Filing], feed: Feed | None = None) -> Iterator[Filed]:
    """File each, and yield what became of it once its chunk is committed."""
    for chunk in chunked(filings, CHUNK):
        for filing in chunk:
            if problem := unfit(filing):
                raise FilingError(
                    f"A filing cannot be taken: {problem}.",
                    left="Chunks that were reported as filed are filed; nothing of this one is.",
                    fix="mend the filing, and file again: what is there already stays as it is",
                )
        yield from _file_chunk(store, chunk, feed)


def request_id(source: str, external_id: str) -> str:
    """The id of a request, the same whenever it is filed."""
    return "r-" + hashlib.sha256(f"{source}\0{external_id}".encode()).hexdigest()[:16]


def unfit(filing: Filing) -> str | None:
    """Why a filing cannot be taken, without its content; None if it can."""
    texts = {
        "source": filing.source,
        "external_id": filing.external_id,
        "subject_id": filing.subject_id,
    }
    for name, text in texts.items():
        plain = isinstance(text, str) and _PLAIN(text)
        if not plain and (problem := _unfit_text(text)):
            return f"{name} {problem}"
    if filing.regulation not in REGULATIONS:
        return f"regulation is not one of {', '.join(REGULATIONS)}"
    return _unfit_datasets(filing.datasets) or _unfit_time(filing.received_at)


@lru_cache(maxsize=1_024)
def _unfit_datasets(datasets: tuple[str, ...]) -> str | None:
    if not datasets or len(set(datasets)) != len(datasets):
        return "datasets is empty or names one twice"
    try:
        for dataset in datasets:
            checked_name(dataset, "dataset")
    except (TerminalError, TypeError):
        return "datasets has a name that no dataset can have"
    return None


def _unfit_text(value: object) -> str | None:
    if not isinstance(value, str):
        return "is not a text"
    if not value.strip():
        return "is missing"
    if "\0" in value:
        return "has a NUL character"
    if len(value) > _LONGEST:
        return f"is longer than {_LONGEST} characters"
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            return "is not valid Unicode"
    return None


def _unfit_time(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    if moment.tzinfo is None:
        return "received_at has no time zone"
    if not 1970 <= moment.year <= 9000:
        return "received_at is out of range"
    return None


def _file_chunk(store: Store, chunk: list[Filing], feed: Feed | None) -> list[Filed]:
    now = store.now()
    reference = store.keys.reference()
    known_keys = {key.key_id: key for key in (*store.keys.references(), reference)}
    intake = store.keys.data_key(vault.intake_key(now), create=True)
    ids = [request_id(filing.source, filing.external_id) for filing in chunk]
    filed = []
    with store.write() as connection:
        known = _known(connection, ids)
        last = select(func.coalesce(func.max(targets.c.id), 0))
        rows = _Rows(connection.execute(last).scalar_one())
        for filing, request in zip(chunk, ids, strict=True):
            digest = known.get(request)
            if digest is not None:
                same = _same(digest, filing, known_keys)
                if not same:
                    rows.events.append(Draft("conflict_refused", request))
                filed.append(Filed(request, "duplicate" if same else "conflict"))
                continue
            row = _request_row(filing, request, reference, now)
            rows.requests.append(row)
            known[request] = (reference.key_id, row.payload_digest)
            told = rows.payloads.setdefault(filing.datasets, {"datasets": filing.datasets})
            rows.events.append(Draft("received", request, payload=told))
            _add_targets(rows, filing, row, intake)
            filed.append(Filed(request, "accepted"))
        _insert(connection, rows, now)
        if feed is not None:
            feeds.advance(connection, now, feed, chunk)
    return filed


def _known(connection: Connection, ids: list[str]) -> dict[str, tuple[str, str]]:
    """Key id and payload digest of those that are filed."""
    query = select(requests.c.id, requests.c.key_id, requests.c.payload_digest)
    rows = connection.execute(query.where(requests.c.id.in_(set(ids))))
    return {row.id: (row.key_id, row.payload_digest) for row in rows}


def _same(stored: tuple[str, str], filing: Filing, keys: Mapping[str, ReferenceKey]) -> bool:
    key_id, digest = stored
    return key_id in keys and hmac.compare_digest(_payload_digest(filing, keys[key_id]), digest)


def _payload_digest(filing: Filing, reference: ReferenceKey) -> str:
    received = filing.received_at
    payload = (
        "expunge filing",
        filing.source,
        filing.external_id,
        filing.subject_id,
        filing.regulation,
        "" if received is None else received.astimezone(UTC).isoformat(),
        *sorted(filing.datasets),
    )
    message = "\0".join(payload)  # no part has a NUL, so no two payloads read alike
    return hmac.digest(reference.secret, message.encode(), "sha256").hex()


def _request_row(
    filing: Filing, request: str, reference: ReferenceKey, now: datetime
) -> _RequestRow:
    received = filing.received_at or now
    return _RequestRow(
        id=request,
        source=filing.source,
        external_id=filing.external_id,
        subject_ref=reference.ref(filing.subject_id),
        key_id=reference.key_id,
        regulation=filing.regulation,
        received_at=received,
        due_at=due_at(filing.regulation, received),
        payload_digest=_payload_digest(filing, reference),
    )


def _add_targets(rows: _Rows, filing: Filing, request: _RequestRow, intake: DataKey) -> None:
    subject = filing.subject_id.encode()
    for dataset in filing.datasets:
        rows.last_target += 1
        rows.targets.append(_TargetRow(rows.last_target, request.id, dataset, request.due_at))
        sealed = intake.seal(subject, context=vault.context(request.id, dataset))
        rows.vault.append((rows.last_target, intake.name, sealed))


def _insert(connection: Connection, rows: _Rows, now: datetime) -> None:
    # In order of their random ids, so that an index page is written once a chunk.
    insert_rows(connection, requests, sorted(rows.requests, key=itemgetter(0)))
    insert_rows(connection, targets, rows.targets)
    insert_rows(connection, vault_table, rows.vault)
    record(connection, now, rows.events)
