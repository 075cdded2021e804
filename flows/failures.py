"""Errors of jobs: one that tells of several things that failed, and a Prefect API that is lost."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from expunge.errors import ExpungeError, TerminalError, TransientError


class ApiLostError(TransientError):
    """The Prefect API does not answer, or cannot."""


@contextmanager
def api_errors() -> Iterator[None]:
    """Turn what Prefect's client raises, once it has given up, into an error of ours."""
    import httpx
    from prefect.exceptions import PrefectException

    try:
        yield
    except (httpx.HTTPError, PrefectException) as error:
        raise _lost(error) from error
    except RuntimeError as error:  # what its client raises where nothing answers at all
        if not str(error).startswith("Failed to reach API"):
            raise
        raise _lost(error) from error


def _lost(error: Exception) -> ApiLostError:
    said = next(iter(str(error).splitlines()), "")
    return ApiLostError(
        f"The Prefect API at {os.environ.get('PREFECT_API_URL')} did not answer as it should: "
        f"{type(error).__name__} {said}".rstrip(". ")
        + ".",
        left="What the stations recorded stays; a batch that is open is gone on with.",
        fix="start that server, or unset PREFECT_API_URL to run without one; then run again",
    )


def summary(failed: dict[str, ExpungeError]) -> ExpungeError:
    """The one error, or one that names what failed; transient where all are."""
    if len(failed) == 1:
        return next(iter(failed.values()))
    transient = all(isinstance(error, TransientError) for error in failed.values())
    return (TransientError if transient else TerminalError)(
        "; ".join(f"{name}: {error.what}" for name, error in failed.items()),
        left=" ".join(dict.fromkeys(error.left for error in failed.values())),
        fix="; ".join(f"{name}: {error.fix}" for name, error in failed.items()),
    )
