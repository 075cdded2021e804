"""What can go wrong in the ledger."""

from __future__ import annotations

from collections.abc import Collection

from expunge.errors import TerminalError, TransientError


class LedgerUnavailableError(TransientError):
    """The database cannot be reached, is busy for too long, or has no room."""


class LedgerForbiddenError(TerminalError):
    """The database does not let this role do what had to be done."""


class SourceUnavailableError(TransientError):
    """The database that requests are read from cannot be reached, or broke off."""


class DatasetLockedError(TransientError):
    """Another process is the one writer of this dataset."""


class LockLostError(TransientError):
    """The lock was taken over: this holder may not write any more."""


class TransitionError(TerminalError):
    """The record is in a state from which this step is not allowed."""


_LISTED_BY = {"request": "expunge request list", "version": "expunge model list --versions"}


class UnknownRecordError(TerminalError):
    """There is no such request, batch, model version or effect."""


class LedgerConflictError(TerminalError):
    """The same key was recorded before, with other content."""


class FilingError(TerminalError):
    """An erasure request that cannot be filed as it stands."""


class IntakeError(TerminalError):
    """A file of requests that cannot be read at all."""


def illegal(
    noun: str, key: str, state: str, verb: str, allowed: Collection[str]
) -> TransitionError:
    """The error of a step that the record's state does not allow."""
    return TransitionError(
        f"{noun} {key} is {state}; {verb} is allowed only while it is {' or '.join(allowed)}.",
        fix="expunge request show ID, or expunge status, tells what can be done next",
    )


def unknown(noun: str, key: str) -> UnknownRecordError:
    """The error of a key that the ledger does not hold."""
    listed = _LISTED_BY.get(noun, "expunge status")
    return UnknownRecordError(f"The ledger has no {noun} {key}.", fix=f"{listed} lists what it has")
