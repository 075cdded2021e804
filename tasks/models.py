"""Where the models of a batch are unlearned: here in turn, or each in a run of a deployment.

With `EXPUNGE_PLACEMENT_DEPLOYMENT` set, every model that may use a GPU becomes a run of that
deployment, all of them at once; how many work at a time is the accelerator limit's to say. The
batch's own run waits and keeps the dataset's lock, under whose fence they act.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from expunge.errors import ExpungeError, TerminalError, TransientError
from expunge.line import Line, in_turn
from expunge.requests import Fence, LockLostError

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun

POLL_SECONDS = 2.0
ATTEMPTS = 3


def settle_models(
    line: Line, batch_id: str, fence: Fence, models: Sequence[str], one: Callable[[str], bool]
) -> bool:
    """Bring every model to a decision; False where a person has to decide first."""
    deployment = line.workspace.settings.placement.deployment
    if deployment is None:
        return in_turn(models, one)
    placed = _Placed(line, batch_id, fence, deployment)
    away = placed.away(models)
    runs = {model: placed.start(model, 0) for model in away}
    here = [model for model in models if model not in away]
    failed: list[ExpungeError] = []
    decided = True
    waits = (partial(placed.wait, *each) for each in runs.items())
    for bring in (partial(in_turn, here, one), *waits):
        try:
            decided &= bring()
        except LockLostError:
            raise
        except ExpungeError as error:
            failed.append(error)
    if failed:
        raise failed[0]
    return decided


@dataclass(frozen=True)
class _Placed:
    """The models of one batch, and the deployment that they go to."""

    line: Line
    batch_id: str
    fence: Fence
    deployment: str

    def away(self, models: Sequence[str]) -> tuple[str, ...]:
        """Models that go to the deployment.

        One that the batch has decided on only replays; one for the CPU needs no GPU; one that may
        take either stays where no worker is at the pool.
        """
        decided = self.line.ledger.decisions(self.batch_id)
        device = {model: self.line.workspace.model(model).device for model in models}
        wanted = [model for model in models if device[model] != "cpu" and model not in decided]
        if not wanted or self._pool_is_ready():
            return tuple(wanted)
        told = f"no worker at the pool of {self.deployment}: on this machine, if the spec allows"
        self.line.progress("unlearn", told)
        return tuple(model for model in wanted if device[model] == "cuda")

    def start(self, model: str, attempt: int) -> FlowRun:
        """A run of the deployment; the same fence and attempt always mean the same run."""
        from prefect.deployments import run_deployment

        self.line.progress("unlearn", f"{model}: a run of {self.deployment}")
        fence = {"token": self.fence.token, "holder": self.fence.holder}
        run: FlowRun = run_deployment(
            self.deployment,
            parameters={"batch_id": self.batch_id, "model": model, **fence},
            idempotency_key=f"{self.batch_id}:{model}:{self.fence.token}:{attempt}",
            timeout=0,
        )
        return run

    def wait(self, model: str, run: FlowRun) -> bool:
        """Wait for a model's run, started anew where it crashed; False where a person decides."""
        for attempt in range(1, ATTEMPTS + 1):
            ended = self._ended(run)
            if model in self.line.ledger.decisions(self.batch_id):
                return True
            asked = self.line.ledger.approvals(self.batch_id)
            if any(each.model == model and each.state == "waiting" for each in asked):
                return False
            if ended.state is not None and ended.state.type == "FAILED":
                raise TerminalError(
                    f"Run {ended.name!r} of {self.deployment} failed on {model!r}: "
                    f"{ended.state.message}",
                    left="The dataset is erased; the champion is as it was.",
                    fix="mend what it says, then `expunge run` goes on",
                )
            if attempt < ATTEMPTS:
                run = self.start(model, attempt)
        raise TransientError(
            f"{ATTEMPTS} runs of {self.deployment} on {model!r} crashed or were cancelled.",
            left="The dataset is erased; the champion is as it was.",
            fix="look at the workers of its pool, then `expunge run` goes on",
        )

    def _ended(self, run: FlowRun) -> FlowRun:
        """The run, once it is over; LockLostError where the batch is not ours any more."""
        with _client() as client:
            while True:
                found = client.read_flow_run(run.id)
                if found.state is not None and found.state.is_final():
                    return found
                self.line.ledger.check(self.fence)
                time.sleep(POLL_SECONDS)

    def _pool_is_ready(self) -> bool:
        from prefect.client.schemas.objects import WorkPoolStatus
        from prefect.exceptions import ObjectNotFound

        with _client() as client:
            try:
                found = client.read_deployment_by_name(self.deployment)
            except ObjectNotFound:
                raise TerminalError(
                    f"The Prefect server has no deployment {self.deployment!r}.",
                    left="The dataset is erased; the models keep their debts.",
                    fix="prefect --no-prompt deploy --all, or unset EXPUNGE_PLACEMENT_DEPLOYMENT; "
                    "then `expunge run` goes on",
                ) from None
            pool = client.read_work_pool(str(found.work_pool_name))
        return bool(pool.status == WorkPoolStatus.READY)


def _client() -> SyncPrefectClient:
    from prefect.client.orchestration import get_client

    return get_client(sync_client=True)
