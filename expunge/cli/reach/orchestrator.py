"""The Prefect server that starts the nightly batches: pools, workers, deployments, limit."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from expunge.cli.reach import Finding, said
from expunge.workspace import Workspace

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.responses import DeploymentResponse

FLOW = "deletion-batches"
POOLS = ("cpu", "gpu")
_DEPLOY = "prefect --no-prompt deploy --all (from a checkout)"


def prefect(workspace: Workspace) -> Finding:
    """The Prefect API, where one is configured."""
    if not os.environ.get("PREFECT_API_URL"):
        return "no server set (PREFECT_API_URL): each run starts its own", ""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True, httpx_settings={"timeout": 10}) as client:
        if (broken := client.api_healthcheck()) is not None:
            return said(broken), "start the Prefect server, or mend PREFECT_API_URL"
        try:
            return _server(client, workspace.settings.placement.deployment)
        except Exception as error:  # the client raises httpx's errors and its own
            return said(error), (
                "mend PREFECT_API_KEY or PREFECT_API_AUTH_STRING, or look into the server's log"
            )


def _server(client: SyncPrefectClient, placement: str | None) -> Finding:
    from prefect import __version__ as ours

    theirs = client.api_version()
    if theirs.split(".")[:2] != ours.split(".")[:2]:
        return f"server {theirs}, but this is {ours}", f"run the server with prefect {ours}"
    used = [each for each in _of_flow(client, FLOW) if _is_scheduled(each)]
    if placement is not None:
        flow, _, name = placement.partition("/")
        used += [each for each in _of_flow(client, flow) if each.name == name]
    waiting = {each.work_pool_name for each in used}
    faults = [*_pools(client, waiting), *_deployments(client, placement), *_limit(client)]
    if faults:
        what, mends = zip(*faults, strict=True)
        return f"server {theirs} answers, but {'; '.join(what)}", "; ".join(dict.fromkeys(mends))
    return f"server {theirs} answers; pools, workers, deployments and limit are there", ""


def _pools(client: SyncPrefectClient, waiting: set[str | None]) -> Iterator[Finding]:
    """Both pools have to exist; a worker is missed where runs wait for it."""
    there = {pool.name: pool for pool in client.read_work_pools()}
    for name in POOLS:
        pool = there.get(name)
        if pool is None:
            yield f"there is no pool {name}", f"prefect work-pool create {name} --type process"
        elif pool.is_paused:
            yield f"pool {name} is paused", f"prefect work-pool resume {name}"
        elif name in waiting and not _has_worker(client, name):
            yield f"no worker of pool {name} is alive", f"prefect worker start --pool {name}"


def _has_worker(client: SyncPrefectClient, pool: str) -> bool:
    from prefect.client.schemas.objects import WorkerStatus

    workers = client.read_workers_for_work_pool(pool)
    return any(worker.status == WorkerStatus.ONLINE for worker in workers)


def _deployments(client: SyncPrefectClient, placement: str | None) -> Iterator[Finding]:
    found = _of_flow(client, FLOW)
    if not found:
        yield f"flow {FLOW} is not deployed", _DEPLOY
    elif not any(_is_scheduled(each) for each in found):
        names = ", ".join(f"{FLOW}/{each.name}" for each in found)
        yield f"no schedule of {names} is active", f"prefect deployment schedule resume {names}"

    if placement is not None:
        flow, _, name = placement.partition("/")
        if name not in {each.name for each in _of_flow(client, flow)}:
            yield f"EXPUNGE_PLACEMENT_DEPLOYMENT {placement} is not deployed", _DEPLOY


def _of_flow(client: SyncPrefectClient, flow: str) -> list[DeploymentResponse]:
    from prefect.client.schemas.filters import FlowFilter, FlowFilterName

    wanted = FlowFilter(name=FlowFilterName(any_=[flow]))
    return list(client.read_deployments(flow_filter=wanted))


def _is_scheduled(deployment: DeploymentResponse) -> bool:
    return not deployment.paused and any(each.active for each in deployment.schedules)


def _limit(client: SyncPrefectClient) -> Iterator[Finding]:
    """Without the limit every task that asks for a slot fails: it is asked for strictly."""
    from prefect.exceptions import ObjectNotFound

    from flows.limits import ACCELERATOR

    try:
        limit = client.read_global_concurrency_limit_by_name(ACCELERATOR)
    except ObjectNotFound:
        yield f"limit {ACCELERATOR} is missing", f"prefect gcl create {ACCELERATOR} --limit 1"
        return
    if not limit.active:
        yield f"limit {ACCELERATOR} is off", f"prefect gcl update {ACCELERATOR} --enable"
