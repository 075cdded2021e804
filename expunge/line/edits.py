"""The edits behind a version: which batches were forgotten since the last exact model, and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

from expunge.line.attempt import Attempt, base_of, forgotten_batches
from expunge.line.context import Line
from expunge.line.qualification import lineage
from expunge.requests import ModelVersion


@dataclass(frozen=True)
class Edit:
    """One edit of a lineage: the version it made of `parent`, and the batches that it forgot.

    `batch_id` is the batch that ran it; `ingest_seen` the newest ingest that the parent had seen.
    """

    version: str
    parent: str
    batch_id: str
    batches: tuple[str, ...]
    ingest_seen: int


def edits_of(line: Line, model: str, version: str) -> tuple[Edit, ...]:
    """The edits that made `version` of its last exact ancestor, oldest first."""
    chain = lineage(line, model, version)
    erasures = {v.ordinal: v.batch_id for v in line.ledger.versions(chain[0].dataset) if v.batch_id}
    found = [_edit(made, parent, erasures) for made, parent in pairwise(chain)]
    return tuple(reversed(found))


def earlier_edits(line: Line, attempt: Attempt) -> tuple[Edit, ...]:
    """The edits behind the attempt's base, without batches that the attempt forgets itself."""
    now = forgotten_batches(line, base_of(line, attempt.model, attempt.base))
    edits = edits_of(line, attempt.model, attempt.base)
    return tuple(
        replace(edit, batches=tuple(each for each in edit.batches if each not in now))
        for edit in edits
    )


def _edit(made: ModelVersion, parent: ModelVersion, erasures: Mapping[int, str]) -> Edit:
    forgotten = range(parent.clean_as_of + 1, made.clean_as_of + 1)
    return Edit(
        version=made.version,
        parent=parent.version,
        batch_id=str(made.batch_id),
        batches=tuple(erasures[ordinal] for ordinal in forgotten if ordinal in erasures),
        ingest_seen=parent.ingest_seen,
    )
