"""One measured number with its error and what it should be: the value every report shows.

A number that cannot be had is NaN in Python and `null` in JSON, and says why in `undefined`.
`from_json(x.to_json())` holds the same values.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypeAlias, TypeVar

from expunge.errors import TerminalError
from expunge.specs import Task

ReferenceKind: TypeAlias = Literal[
    "exact_retrain", "class_matched", "leave_subject_out", "zero", "half"
]
RequestKind: TypeAlias = Literal["rows", "subjects", "class"]

LEVELS: Mapping[Task, str] = {"classification": "accuracy", "regression": "error"}
"""How well rows are answered: `forget_accuracy`, or `forget_error`, the mean absolute error."""
GENERALISATION: Mapping[Task, str] = {
    "classification": "generalisation",
    "regression": "relative_generalisation",
}
"""What is lost on held-out rows, below 0: accuracy, or a share of the champion's error."""


class EvaluationError(TerminalError):
    """Scores that do not belong together, or a record that is not an evaluation."""


@dataclass(frozen=True)
class Metric:
    """A metric of one candidate (method.md, section 3).

    `se` is the standard error of `value`; `low` and `high` its two-sided 95 % interval. `n` counts
    the rows behind it, `left_out` the rows that could not be compared (membership: forget rows of
    a class with fewer than five held-out rows). `reference` is what exact retraining gives or is
    estimated to give; `gap_se` the standard error of value − reference, with `degrees` of freedom
    (clusters − 1). NaN where unknown.
    """

    name: str
    value: float
    se: float
    low: float
    high: float
    n: int
    reference: float | None = None
    reference_kind: ReferenceKind | None = None
    undefined: str | None = None
    gap_se: float = math.nan
    degrees: float = math.nan
    left_out: int = 0

    def to_json(self) -> dict[str, Any]:
        """The fields by name; NaN and infinities as None."""
        return json_ready(asdict(self))

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Metric:
        """The metric that `to_json` wrote.

        Raises:
            EvaluationError: a field is missing or unknown.
        """
        return read_fields(cls, record, ("value", "se", "low", "high", "gap_se", "degrees"))


def undefined(name: str, why: str, n: int = 0) -> Metric:
    """The metric `name` without a value, and why."""
    nan = math.nan
    return Metric(name, nan, nan, nan, nan, n, undefined=why)


@dataclass(frozen=True)
class WorstSubject:
    """The person whom the candidate seems to remember best; never which person.

    `auc` is the hard-row AUC of this person's rows against held-out people; `score` its distance
    from `reference` in standard deviations of people nobody trained on; `p_holm` the one-sided p
    value after Holm's correction over `subjects`. `unscored` people have no hard row.
    """

    auc: float
    score: float
    p_holm: float
    subjects: int
    unscored: int
    held_out_subjects: int
    reference: float = 0.5
    undefined: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The fields by name; NaN as None."""
        return json_ready(asdict(self))

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> WorstSubject:
        """The value that `to_json` wrote."""
        return read_fields(cls, record, ("auc", "score", "p_holm"))


@dataclass(frozen=True)
class Evaluation:
    """Everything measured on one candidate of one batch."""

    metrics: tuple[Metric, ...]
    worst_subject: WorstSubject
    request: RequestKind
    seed: int
    resamples: int
    notes: tuple[str, ...] = ()
    task: Task = "classification"

    @property
    def generalisation(self) -> Metric:
        """What the candidate lost on held-out rows, as the gate judges it."""
        return self.metric(GENERALISATION[self.task])

    def level(self, split: str) -> Metric:
        """Accuracy or mean absolute error on `forget`, `retain` or `held_out` rows; candidate's."""
        return self.metric(f"{split}_{LEVELS[self.task]}")

    def extended(self, metrics: Iterable[Metric], notes: Iterable[str] = ()) -> Evaluation:
        """The same with further metrics and remarks."""
        return replace(self, metrics=(*self.metrics, *metrics), notes=(*self.notes, *notes))

    def without_membership(self, why: str) -> Evaluation:
        """The same where forgotten and held-out rows cannot be compared: membership is undefined.

        The numbers stay, for whoever wants to see them; the gate judges none of them.
        """
        metrics = tuple(
            replace(each, undefined=each.undefined or why) if "auc" in each.name else each
            for each in self.metrics
        )
        worst = replace(self.worst_subject, undefined=self.worst_subject.undefined or why)
        return replace(self, metrics=metrics, worst_subject=worst, notes=(*self.notes, why))

    def metric(self, name: str) -> Metric:
        """The metric called `name`.

        Raises:
            EvaluationError: there is none.
        """
        for metric in self.metrics:
            if metric.name == name:
                return metric
        known = ", ".join(metric.name for metric in self.metrics)
        raise EvaluationError(f"This evaluation has no metric {name!r}.", fix=f"use one of {known}")

    def to_json(self) -> dict[str, Any]:
        """A JSON object without any subject."""
        return {
            "metrics": [metric.to_json() for metric in self.metrics],
            "worst_subject": self.worst_subject.to_json(),
            "request": self.request,
            "seed": self.seed,
            "resamples": self.resamples,
            "notes": list(self.notes),
            "task": self.task,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Evaluation:
        """The evaluation that `to_json` wrote."""
        fields = dict(record)
        try:
            fields["metrics"] = tuple(Metric.from_json(each) for each in fields["metrics"])
            fields["worst_subject"] = WorstSubject.from_json(fields["worst_subject"])
            fields["notes"] = tuple(fields.get("notes", ()))
        except (KeyError, TypeError) as error:
            raise unreadable(cls.__name__) from error
        return read_fields(cls, fields, ())


def json_ready(fields: dict[str, Any]) -> dict[str, Any]:
    """The same fields with every number that JSON does not know as None."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in fields.items()
    }


T = TypeVar("T")


def read_fields(kind: type[T], record: Mapping[str, Any], numbers: tuple[str, ...]) -> T:
    """A `kind` from its fields; None among `numbers` is NaN."""
    fields = {
        name: math.nan if value is None and name in numbers else value
        for name, value in record.items()
    }
    try:
        return kind(**fields)
    except TypeError as error:
        raise unreadable(kind.__name__) from error


def unreadable(noun: str) -> EvaluationError:
    """The error for a record whose fields are not those of `noun`."""
    return EvaluationError(
        f"A stored record does not have the fields of {noun}.",
        fix="evaluate the batch again with this release: expunge run",
    )
