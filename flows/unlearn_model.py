"""The job of one model of a batch, on the machine of its own choice: one with a GPU.

A batch's run starts it and waits, holding the dataset's lock; this run acts under that lock's
fence. So when the batch's run is gone and another one has the lock, nothing that this run still
does can take effect. Parameters are names and numbers: Prefect stores them in clear.
"""

from __future__ import annotations

from prefect import flow

from expunge.errors import TerminalError
from expunge.line import Line, settle
from expunge.requests import Fence
from flows.limits import ensure_limits
from flows.logs import structured_logs
from flows.stations import STATIONS
from tasks.lines import line_at, workspace_root


@flow(name="unlearn-model", flow_run_name="{model} of {batch_id}", persist_result=False)
def unlearn_model(
    batch_id: str, model: str, token: int, holder: str, workspace: str | None = None
) -> bool:
    """Bring `model` to a decision in a published batch; False where a person decides first.

    `token` and `holder` are the fence of the batch's run. `workspace` is a folder; left out, it is
    `EXPUNGE_WORKSPACE` or the working directory.
    """
    structured_logs()
    ensure_limits()
    with line_at(workspace_root(workspace)) as line:
        fence = Fence(line.ledger.batch(batch_id).dataset, token, holder)
        line.ledger.check(fence)
        _same_state(line, batch_id)
        return settle(line, batch_id, fence, model, STATIONS)


def _same_state(line: Line, batch_id: str) -> None:
    """The rows to forget are sealed in the state folder, which both machines have to share."""
    if not line.sealed(batch_id).exists():
        raise TerminalError(
            f"This machine does not see the sealed rows of batch {batch_id}: its state folder is "
            "not that of the batch's run.",
            left="The dataset is erased; the model keeps its debt.",
            fix="share the workspace, EXPUNGE_STATE and EXPUNGE_KEYS between the machines "
            "(docs/schedule.md), then `expunge run` goes on",
        )
