"""What the Prefect server does by itself about runs that crash, fall silent, or do not start.

    python -m flows.automations [--alert BLOCK]

after `prefect deploy --all`, with PREFECT_API_URL set. Run again, it brings them to what stands
here. BLOCK is a notification block of the server (Slack, e-mail, a webhook …); without one nobody
is told, and the rest works.
"""

from __future__ import annotations

import argparse
import sys
from datetime import timedelta
from uuid import UUID

from prefect.automations import Automation
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ActionTypes, ChangeFlowRunState, RunDeployment, SendNotification
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.exceptions import ObjectNotFound

from expunge.errors import TerminalError
from flows.resume import DEPLOYMENT

JOBS = ("deletion-batches", "unlearn-model", "audit")
HEARTBEAT = "prefect.flow-run.heartbeat"
SILENCE = timedelta(seconds=120)
PAUSE = timedelta(minutes=2)
"""Before a crashed batch goes on: a run that crashes at once must not start another at once."""

CRASHED = "expunge: a crashed batch goes on"
SILENT = "expunge: a run that fell silent has crashed"
ALERT = "expunge: a run is late or failed"


def ensure_automations(alert: str | None = None) -> list[str]:
    """Create the automations, or bring them up to date; their names.

    Raises:
        TerminalError: the deployment or the block that they need is not on the server.
    """
    with get_client(sync_client=True) as client:
        made = [_crashed(_deployment(client)), _silent()]
        if alert is not None:
            made.append(_alert(_block(client, alert)))
    for automation in made:
        _ensure(automation)
    return [automation.name for automation in made]


def _crashed(deployment: UUID) -> Automation:
    """The hourly job, at once: it goes on with whatever batch was left unfinished."""
    trigger = EventTrigger(
        expect={"prefect.flow-run.Crashed"},
        match_related=_of("deletion-batches"),
        posture=Posture.Reactive,
    )
    again = RunDeployment(source="selected", deployment_id=deployment, schedule_after=PAUSE)
    return _automation(CRASHED, trigger, again)


def _silent() -> Automation:
    """A machine that is gone reports nothing: its runs would be `Running` for ever.

    Heartbeats come from workers with PREFECT_FLOWS_HEARTBEAT_FREQUENCY set.
    """
    trigger = EventTrigger(
        after={HEARTBEAT},
        expect={HEARTBEAT, *(f"prefect.flow-run.{state}" for state in _ENDS)},
        for_each={"prefect.resource.id"},
        match_related=_of(*JOBS),
        posture=Posture.Proactive,
        within=SILENCE,
    )
    crash = ChangeFlowRunState(
        state=StateType.CRASHED, message=f"no heartbeat for {SILENCE.seconds} s"
    )
    return _automation(SILENT, trigger, crash)


_ENDS = ("Completed", "Failed", "Crashed", "Cancelled", "Cancelling")


def _alert(block: UUID) -> Automation:
    """Tell people of runs that nobody took up, and of batches that failed."""
    trigger = EventTrigger(
        expect={"prefect.flow-run.Late", "prefect.flow-run.Failed"},
        match_related=_of(*JOBS),
        posture=Posture.Reactive,
    )
    told = SendNotification(
        block_document_id=block,
        subject="expunge: {{ flow.name }} is {{ flow_run.state.name }}",
        body="Run {{ flow_run.name }} of {{ flow.name }}: {{ flow_run.state.message }}",
    )
    return _automation(ALERT, trigger, told)


def _of(*flows: str) -> dict[str, str | list[str]]:
    return {"prefect.resource.role": "flow", "prefect.resource.name": list(flows)}


def _automation(name: str, trigger: EventTrigger, action: ActionTypes) -> Automation:
    return Automation(name=name, trigger=trigger, actions=[action])


def _ensure(automation: Automation) -> None:
    """One automation of that name, as it is here."""
    try:
        known = Automation.read(name=automation.name)
    except ValueError:  # Prefect's word for: there is none
        automation.create()
        return
    automation.id = known.id
    automation.update()


def _deployment(client: SyncPrefectClient) -> UUID:
    try:
        found: UUID = client.read_deployment_by_name(DEPLOYMENT).id
    except ObjectNotFound:
        raise TerminalError(
            f"The Prefect server has no deployment {DEPLOYMENT}.",
            fix="prefect --no-prompt deploy --all",
        ) from None
    return found


def _block(client: SyncPrefectClient, name: str) -> UUID:
    """A block by `TYPE/NAME`, as Prefect writes them."""
    kind, _, own = name.partition("/")
    try:
        found: UUID = client.read_block_document_by_name(own, kind).id
    except ObjectNotFound:
        raise TerminalError(
            f"The Prefect server has no block {name!r}.",
            fix="prefect block ls shows those that there are; write TYPE/NAME",
        ) from None
    return found


def main() -> None:
    """Entry point of `python -m flows.automations`."""
    parser = argparse.ArgumentParser(prog="python -m flows.automations", description=__doc__)
    parser.add_argument("--alert", metavar="BLOCK", help="notification block, as TYPE/NAME")
    for name in ensure_automations(parser.parse_args().alert):
        sys.stdout.write(f"{name}\n")


if __name__ == "__main__":
    main()
