"""A real process that claims and finishes small batches until nothing is pending."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from expunge.keys import KeyRing
from expunge.requests import DatasetLockedError, Ledger

url, keys = sys.argv[1:3]
with Ledger.open(url, KeyRing(Path(keys))) as ledger:
    while True:
        try:
            with ledger.lock("digits") as fence:
                batch = ledger.claim(fence, champions={}, limit=5)
                if batch is None:
                    break
                claims = ledger.claims(batch.id)
                ledger.dispose(fence, batch.id, [claim.target_id for claim in claims], {}, {})
                ledger.finish(fence, batch.id)
                sys.stdout.writelines(f"{claim.request_id}\n" for claim in claims)
        except DatasetLockedError:
            time.sleep(0.02)
