"""The audit job: every strategy of every governed model on mock requests, weekly.

Parameters are names only: Prefect stores them in clear.
"""

from __future__ import annotations

from pathlib import Path

from prefect import flow, unmapped

from expunge.errors import ExpungeError
from expunge.line.bench import NoChampionError
from expunge.workspace import Workspace
from flows.failures import summary
from flows.limits import ensure_limits
from flows.logs import structured_logs
from tasks import audit as task
from tasks.lines import workspace_root


@flow(name="audit", flow_run_name="audit", persist_result=False)
def audit(
    model: str | None = None, workspace: str | None = None, with_retrain: bool = False
) -> dict[str, list[int]]:
    """Audit `model`, or every model that has a champion; the numbers of their records.

    `with_retrain` adds exact retrains and LiRA, whose shadow models are trained side by side on as
    many workers as there are slots. A model whose audit fails does not keep the others from
    theirs; the flow fails at the end.
    `workspace` is a folder; left out, it is `EXPUNGE_WORKSPACE` or the working directory.
    """
    structured_logs()
    root = workspace_root(workspace)
    ensure_limits()
    names = [model] if model else [spec.name for spec in Workspace.open(Path(root)).models()]
    records: dict[str, list[int]] = {}
    failed: dict[str, ExpungeError] = {}
    for name in names:
        try:
            if with_retrain:
                _train_shadows(root, name)
            records[name] = task.audit(root, name, with_retrain)
        except NoChampionError:
            if model:  # among all, one that was never trained has nothing to audit yet
                raise
        except ExpungeError as error:
            failed[name] = error
    if failed:
        raise summary(failed)
    return records


def _train_shadows(root: str, model: str) -> None:
    """Every shadow model of `model`, a task each."""
    count = Workspace.open(Path(root)).model(model).references.shadows
    task.shadow.map(unmapped(root), unmapped(model), range(count)).result()
