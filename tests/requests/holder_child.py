"""A real process that takes a dataset's lock, claims, says so, and waits to be killed."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from expunge.keys import KeyRing
from expunge.requests import Ledger

url, keys, lease = sys.argv[1:4]
with (
    Ledger.open(url, KeyRing(Path(keys))) as ledger,
    ledger.lock("digits", float(lease)) as fence,
):
    batch = ledger.claim(fence, champions={}, limit=10)
    sys.stdout.write(f"{fence.token} {batch.id if batch else None}\n")
    sys.stdout.flush()
    time.sleep(120)
