"""Threads that work on one shard each: Arrow and numpy let go of the interpreter's lock."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

_MOST = 4
"""Of them, since each holds a shard or two in memory."""


def shard_pool() -> ThreadPoolExecutor:
    """As many threads as there are cores, within bounds."""
    return ThreadPoolExecutor(max_workers=min(_MOST, os.cpu_count() or 1))
