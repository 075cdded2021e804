"""Stage: write the rewritten shards aside, and seal the forget rows.

Nothing that anyone else reads is touched. The forget rows are encrypted under the batch's own
data key; only unlearn and evaluate may open them.
"""

from __future__ import annotations

from dataclasses import asdict

from expunge.dataset import StagedErasure, seal_rows, stage_erasure
from expunge.line.context import Line
from expunge.requests import Fence


def subjects_of(line: Line, batch_id: str) -> list[str]:
    """Ids of the people whom this batch erases; for the dataset room only, never logged."""
    claims = line.ledger.claims(batch_id)
    return sorted({claim.subject_id for claim in claims if claim.disposition == "erase"})


def stage(line: Line, batch_id: str, fence: Fence) -> None:
    """Rewrite the touched shards into the staging folder and seal the rows taken out."""
    with line.station(batch_id, "stage", fence) as outcome:
        if outcome is None:
            return
        spec = line.workspace.dataset(fence.dataset)
        line.progress("stage", "rewriting the touched shards aside")
        staging = line.staging(batch_id)
        keys, subjects = line.workspace.keys, subjects_of(line, batch_id)
        key = keys.placement(spec.name)
        store = line.store(spec)
        sealed = line.sealed(batch_id)
        seal_rows(store, key, subjects, keys=keys, batch_id=batch_id, path=sealed)
        staged = stage_erasure(spec, store, key, subjects, staging)
        outcome |= {**asdict(staged), "staging": staging.name, "state": "staged"}
        line.progress(
            "stage",
            f"{staged.rows_erased:,} rows out of {len(staged.touched)} of "
            f"{staged.shards_total} shards",
        )


def staged_erasure(line: Line, batch_id: str) -> StagedErasure:
    """What the stage station of this batch wrote aside."""
    found = dict(line.found(batch_id, "stage"))
    found.pop("seconds")
    return StagedErasure(
        **{
            **found,
            "touched": tuple(found["touched"]),
            "files": tuple(found["files"]),
            "staging": line.staging(found["staging"]),
        }
    )
