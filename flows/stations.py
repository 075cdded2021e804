"""The stations of the line as Prefect tasks, for whichever flow runs them."""

from __future__ import annotations

from expunge.line import Line, Stations
from tasks import approve, claim, evaluate, gate, promote, publish, report, stage, unlearn, validate
from tasks.models import settle_models


def _root(line: Line) -> str:
    return str(line.workspace.root)


STATIONS = Stations(
    claim=lambda line, *rest: claim.claim(_root(line), *rest),
    stage=lambda line, *rest: stage.stage(_root(line), *rest),
    validate=lambda line, *rest: validate.validate(_root(line), *rest),
    publish=lambda line, *rest: publish.publish(_root(line), *rest),
    models=settle_models,
    unlearn=lambda line, *rest: unlearn.unlearn(_root(line), *rest),
    evaluate=lambda line, *rest: evaluate.evaluate(_root(line), *rest),
    gate=lambda line, *rest: gate.gate(_root(line), *rest),
    approve=lambda line, *rest: approve.approve(_root(line), *rest),
    promote=lambda line, *rest: promote.promote(_root(line), *rest),
    hold=lambda line, *rest: promote.hold(_root(line), *rest),
    report=lambda line, *rest: report.report(_root(line), *rest),
)
