"""The independent checker: ledger, dataset, registry and logs compared with one another.

It reads what is there by other means than expunge's own: SQL, pyarrow on the objects of the DVC
version, listings of remote and artifact store, MLflow's client, git. `at_rest` says that every
run has ended well: then nothing may be under way, and no byte without an owner.
"""

from __future__ import annotations

from tests.soak.check_bytes import check_bytes
from tests.soak.check_dataset import check_dataset
from tests.soak.check_models import check_models
from tests.soak.check_requests import check_doubled, check_lost
from tests.soak.check_told import check_told
from tests.soak.findings import Findings
from tests.soak.site import Site, Truth, tables


def check(site: Site, truth: Truth, *, at_rest: bool = True) -> Findings:
    """Everything that is not as it must be."""
    found = Findings()
    ledger = tables(site.ledger)
    check_lost(ledger, truth, found, at_rest=at_rest)
    check_doubled(ledger, site, found)
    check_models(ledger, site, found, at_rest=at_rest)
    check_told(ledger, site, {*truth.accepted.values()}, found)
    if at_rest:
        check_dataset(ledger, site, truth, found)
        check_bytes(ledger, site, found)
    return found
