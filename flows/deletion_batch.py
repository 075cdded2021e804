"""The main job: one batch of erasure requests of one dataset, from claim to promotion.

The order of the stations stands in `expunge.line.run_batch`; here each one runs as a Prefect
task. Parameters are names only: Prefect stores them in clear.
"""

from __future__ import annotations

from prefect import flow

from expunge.line import Line, Stations, run_batch
from flows.limits import ensure_limits
from tasks import approve, claim, evaluate, gate, promote, publish, report, stage, unlearn, validate
from tasks.lines import line_at, workspace_root


@flow(name="deletion-batch", flow_run_name="{dataset}", persist_result=False)
def deletion_batch(dataset: str, workspace: str | None = None) -> str | None:
    """Run the open batch of `dataset`, or a new one; its id, or None when nothing is pending.

    `workspace` is a folder; left out, it is `EXPUNGE_WORKSPACE` or the working directory.
    """
    ensure_limits()
    with line_at(workspace_root(workspace)) as line:
        done = run_batch(line, dataset, STATIONS)
    return done.batch_id if done else None


def _root(line: Line) -> str:
    return str(line.workspace.root)


STATIONS = Stations(
    claim=lambda line, *rest: claim.claim(_root(line), *rest),
    stage=lambda line, *rest: stage.stage(_root(line), *rest),
    validate=lambda line, *rest: validate.validate(_root(line), *rest),
    publish=lambda line, *rest: publish.publish(_root(line), *rest),
    unlearn=lambda line, *rest: unlearn.unlearn(_root(line), *rest),
    evaluate=lambda line, *rest: evaluate.evaluate(_root(line), *rest),
    gate=lambda line, *rest: gate.gate(_root(line), *rest),
    approve=lambda line, *rest: approve.approve(_root(line), *rest),
    promote=lambda line, *rest: promote.promote(_root(line), *rest),
    hold=lambda line, *rest: promote.hold(_root(line), *rest),
    report=lambda line, *rest: report.report(_root(line), *rest),
)
