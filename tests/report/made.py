"""Reports put together by hand: what a page has to bear that a small run does not show."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from expunge.evaluation import Criterion, Metric
from expunge.report import (
    AuditRecord,
    DatasetPoint,
    Edit,
    Erasure,
    MeasuredRow,
    ModelPart,
    Report,
    RequestFacts,
    RungPart,
)
from expunge.requests import Asked

OPENED = datetime(2026, 11, 21, 9, 36, tzinfo=UTC)
BATCH = "b-20261121-3f9a1c"


def metric(name: str = "hard_row_auc", value: float = 0.512, **changes: Any) -> Metric:
    known: dict[str, Any] = {"se": 0.02, "low": value - 0.04, "high": value + 0.04, "n": 230}
    return Metric(name, value, **{**known, "reference": 0.5, "reference_kind": "half", **changes})


def criterion(name: str = "forgetting", outcome: Any = "pass", **changes: Any) -> Criterion:
    known: dict[str, Any] = {
        "metric": "generalisation" if name == "held_out" else "hard_row_auc",
        "estimate": 0.512,
        "reference": 0.5,
        "reference_kind": "half",
        "se": 0.02,
        "margin": 0.15,
        "lower": -0.03,
        "upper": 0.06,
        "words": f"The words of {name}.",
    }
    return Criterion(name=name, outcome=outcome, **{**known, **changes})


def rung(number: int = 1, outcome: Any = "pass", **changes: Any) -> RungPart:
    made = RungPart(
        number=number,
        of=3,
        base="1",
        strategy="random_k",
        settings={"fraction": 0.8, "noise": "variance_preserving", "per_layer": False},
        outcome=outcome,
        why="The words that decided.",
        alpha=0.05 / 3,
        exact=False,
        request="subjects",
        criteria=(criterion(outcome=outcome), criterion("over_forgetting"), criterion("held_out")),
        measured=(MeasuredRow(metric(), metric(value=0.76), True, "random rows rank alike"),),
        notes=(),
        edit=Edit(1000, 800, 790, 31_920.0, 3.2),
        diverged=None,
        qualification=None,
        audit=None,
        version=str(number + 1),
        run_id=f"{number}" * 32,
        seconds={"unlearn": 3.0, "evaluate": 4.0, "gate": 0.1},
    )
    return replace(made, **changes)


def model(*rungs: RungPart, **changes: Any) -> ModelPart:
    tried = rungs or (rung(),)
    made = ModelPart(
        name="digits-cnn",
        version_before="1",
        version_after=tried[-1].version,
        decision="promoted",
        while_held="",
        plan="",
        facts=(RequestFacts("1", 500, 1100, 55, False, "Inputs are alike.", "No copies."),),
        rungs=tried,
        promoted=tried[-1],
    )
    return replace(made, **changes)


def report(*models: ModelPart, **changes: Any) -> Report:
    received, due = OPENED - timedelta(days=5), OPENED + timedelta(days=25)
    points = (
        DatasetPoint(1, "a" * 32 + ".dir", "c" * 40, 8000, OPENED - timedelta(days=9)),
        DatasetPoint(2, "b" * 32 + ".dir", "d" * 40, 7440, OPENED),
    )
    made = Report(
        batch_id=BATCH,
        dataset="digits",
        state="finished",
        reason=None,
        opened_at=OPENED,
        ended_at=OPENED + timedelta(seconds=40),
        asked=(Asked("gdpr", 15, received, OPENED, due, due + timedelta(days=5), 0),),
        requests={"completed": 14, "no_match": 1},
        erasure=Erasure(560, {"E": 60, "T": 500, "V": 0}, 14, 24, 64, 26, *points),
        models=models or (model(),),
        seconds={"claim": 0.1, "unlearn": 10.0, "evaluate": 16.4},
    )
    return replace(made, **changes)


def audited() -> RungPart:
    record = AuditRecord(7, "pass", "1", OPENED - timedelta(days=3))
    undecided = criterion(outcome="inconclusive", lower=-0.1, upper=0.3)
    return rung(outcome="inconclusive", qualification=7, audit=record, criteria=(undecided,))


def unmeasured(name: str = "ud", why: str = "SPD-GAN is not resolvable") -> MeasuredRow:
    nothing = metric(name, math.nan, se=math.nan, low=math.nan, high=math.nan, undefined=why)
    return MeasuredRow(nothing, None, False, "it needs an exact retrain")
