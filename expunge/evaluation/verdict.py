"""What the gate decided, and why, as a value that the ledger and every report keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from expunge.evaluation.metric import ReferenceKind, json_ready, read_fields, unreadable

Outcome: TypeAlias = Literal["pass", "fail", "inconclusive"]
_NUMBERS = ("estimate", "reference", "se", "lower", "upper")


@dataclass(frozen=True)
class Criterion:
    """One test of the gate.

    `lower` and `upper` are one-sided bounds, each at 1 − α/rungs, of estimate − reference; `se`
    is that difference's standard error; `words` one sentence without any subject. NaN if unknown.
    """

    name: str
    metric: str
    outcome: Outcome
    estimate: float
    reference: float
    reference_kind: ReferenceKind | None
    se: float
    margin: float
    lower: float
    upper: float
    words: str

    def to_json(self) -> dict[str, Any]:
        """The fields by name; NaN as None."""
        return json_ready(asdict(self))

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Criterion:
        """The criterion that `to_json` wrote."""
        return read_fields(cls, record, _NUMBERS)


@dataclass(frozen=True)
class Verdict:
    """The gate's answer on one candidate; `alpha` is what each bound was taken at."""

    outcome: Outcome
    criteria: tuple[Criterion, ...]
    rung: int
    rungs: int
    exact: bool
    alpha: float

    @property
    def words(self) -> str:
        """The sentences that decided: those of the criteria with the verdict's own outcome."""
        return " ".join(each.words for each in self.criteria if each.outcome == self.outcome)

    def to_json(self) -> dict[str, Any]:
        """A JSON object without any subject."""
        return {
            "outcome": self.outcome,
            "criteria": [criterion.to_json() for criterion in self.criteria],
            "rung": self.rung,
            "rungs": self.rungs,
            "exact": self.exact,
            "alpha": self.alpha,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Verdict:
        """The verdict that `to_json` wrote."""
        fields = dict(record)
        try:
            fields["criteria"] = tuple(Criterion.from_json(each) for each in fields["criteria"])
        except (KeyError, TypeError) as error:
            raise unreadable(cls.__name__) from error
        return read_fields(cls, fields, ())
