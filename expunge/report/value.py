"""What a report holds, as immutable values; `Report.to_json` is the JSON of `expunge report`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from expunge.evaluation import Criterion, Metric, RequestKind
from expunge.requests import Approval, Asked, BatchState, Decision


@dataclass(frozen=True)
class DatasetPoint:
    """A dataset version: DVC's md5 and the git commit that points to it."""

    ordinal: int
    md5: str
    commit: str
    rows: int
    at: datetime


@dataclass(frozen=True)
class Erasure:
    """What was taken out of the dataset; `expectations` were met by the staged shards."""

    rows: int
    rows_by_role: Mapping[str, int]
    people: int
    shards: int
    shards_total: int
    expectations: int
    before: DatasetPoint
    after: DatasetPoint


@dataclass(frozen=True)
class RequestFacts:
    """What was measured of the forgotten rows before any candidate of base version `base`.

    `inputs_differ`: a classifier that sees the inputs alone tells them from held-out rows.
    """

    base: str
    forget_rows: int
    held_out_rows: int
    held_out_people: int
    inputs_differ: bool
    inputs: str
    duplicates: str


@dataclass(frozen=True)
class MeasuredRow:
    """A metric of the candidate, the champion's beside it, and whether it may be judged by.

    `valid` is None where the validity table has no such metric.
    """

    metric: Metric
    before: Metric | None
    valid: bool | None
    why: str


@dataclass(frozen=True)
class Edit:
    """What a strategy did to the weights; `passes` are gradient samples, `seconds` its own."""

    parameters: int
    masked: int
    changed: int
    passes: float
    seconds: float


@dataclass(frozen=True)
class AuditRecord:
    """An audit's record of the rung's settings on mock requests of whole people."""

    id: int
    outcome: str
    version: str
    at: datetime


@dataclass(frozen=True)
class RungPart:
    """One rung that was tried, in words and numbers.

    `qualification` is the record that spoke for an inconclusive candidate; `audit` the newest one
    of the same settings, if there is one. `run_id` is None for a candidate that diverged.
    """

    number: int
    of: int
    base: str
    strategy: str
    settings: Mapping[str, Any]
    outcome: str
    why: str
    alpha: float | None
    exact: bool
    request: RequestKind | None
    criteria: tuple[Criterion, ...]
    measured: tuple[MeasuredRow, ...]
    notes: tuple[str, ...]
    edit: Edit | None
    diverged: str | None
    qualification: int | None
    audit: AuditRecord | None
    version: str | None
    run_id: str | None
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class ModelPart:
    """What became of one governed model; `decision` None while there is none.

    `while_held` says whether the old champion serves on; empty unless the model is held. `why`
    says why a candidate that passed was not promoted, `approvals` what people were asked.
    `promoted` is the rung that made the new version, None where no rung of this batch did.
    """

    name: str
    version_before: str | None
    version_after: str | None
    decision: Decision | None
    while_held: str
    plan: str
    facts: tuple[RequestFacts, ...]
    rungs: tuple[RungPart, ...]
    promoted: RungPart | None
    why: str = ""
    approvals: tuple[Approval, ...] = ()

    @property
    def waiting(self) -> Approval | None:
        """The question that nobody has answered yet."""
        return next((each for each in self.approvals if each.state == "waiting"), None)


@dataclass(frozen=True)
class Report:
    """One batch, from what was asked to what was decided."""

    batch_id: str
    dataset: str
    state: BatchState
    reason: str | None
    opened_at: datetime
    ended_at: datetime | None
    asked: tuple[Asked, ...]
    requests: Mapping[str, int]
    erasure: Erasure | None
    models: tuple[ModelPart, ...]
    seconds: Mapping[str, float]

    @property
    def over(self) -> bool:
        """Whether the batch has ended, well or not."""
        return self.ended_at is not None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values: times in ISO 8601, numbers that JSON lacks as None."""
        told: dict[str, Any] = _plain(asdict(self))
        return told


def _plain(value: Any) -> Any:
    """The same in dicts, lists, text, finite numbers and None."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return None if isinstance(value, float) and not math.isfinite(value) else value
