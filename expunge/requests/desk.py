"""The ledger's part for requests: filing them, deciding on them, reading them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from expunge.requests import decisions, feeds, filing, reading
from expunge.requests.store import Store
from expunge.requests.values import Feed, Filed, Filing, Request, RequestState


class Desk:
    """Requests; a part of `Ledger`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def file(self, filings: Iterable[Filing], feed: Feed | None = None) -> Iterator[Filed]:
        """File requests, chunk by chunk, as the result is read; FilingError for an unfit one.

        The positions of the filings become the place of `feed`, each with its own chunk.
        """
        return filing.file(self._store, filings, feed)

    def feed(self, feed: Feed) -> Feed:
        """The feed with the place that it was read to; LedgerConflictError if of another table."""
        with self._store.read() as connection:
            return feeds.resumed(connection, feed)

    def hold(self, request_id: str, reason: str) -> None:
        """Keep a pending request from being claimed: identity check, legal hold."""
        decisions.decide(self._store, "hold", request_id, reason)

    def release(self, request_id: str) -> None:
        """End a hold."""
        decisions.decide(self._store, "release", request_id, None)

    def deny(self, request_id: str, reason: str) -> None:
        """Refuse a request that is pending, on hold or blocked; its subject leaves the vault."""
        decisions.decide(self._store, "deny", request_id, reason)

    def cancel(self, request_id: str, reason: str) -> None:
        """Withdraw a request, only while it is pending; its subject leaves the vault."""
        decisions.decide(self._store, "cancel", request_id, reason)

    def confirm(self, request_id: str) -> None:
        """An operator's yes to a blocked request: pending again, and confirmed."""
        decisions.decide(self._store, "confirm", request_id, None)

    def extend(self, request_id: str, reason: str) -> None:
        """Extend the deadline once, as the regulation allows with notice to the person."""
        decisions.extend(self._store, request_id, reason)

    def request(self, request_id: str) -> Request:
        """One request with its targets and settlements."""
        return reading.request(self._store, request_id)

    def requests(
        self,
        state: RequestState | None = None,
        dataset: str | None = None,
        limit: int | None = None,
    ) -> Iterator[Request]:
        """Requests in order of deadline; streamed."""
        return reading.all_requests(self._store, state, dataset, limit)
