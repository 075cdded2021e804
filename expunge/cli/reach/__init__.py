"""Whether what a workspace connects to answers, and lets expunge do there what a run does.

One module a part. Each check leaves everything as it was: what it writes to find out whether it
may is a probe that it removes, or a transaction that it rolls back.
"""

from __future__ import annotations

from expunge.settings import redacted

Finding = tuple[str, str]  # what was found, and what mends it: "" where nothing has to be
TIMEOUT_SECONDS = 10


def said(error: Exception) -> str:
    """Kind and first line of an error."""
    lines = redacted(str(error)).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
