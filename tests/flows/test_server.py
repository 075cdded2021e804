"""The shipped deployments on a real Prefect server with a real worker.

The commands are those in the header of prefect.yaml.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from expunge.line import open_line, train
from expunge.workspace import QUIET, init_workspace
from tests.cli.conftest import Expunge
from tests.cli.test_approve import ask
from tests.loopback import answers, free_port
from tests.receiver import receiver

CHECKOUT = Path(__file__).resolve().parents[2]
NIGHTLY = "deletion-batches/nightly"
URGENT = "deletion-batches/urgent"
PREFECT = [sys.executable, "-m", "prefect"]
# Real servers: what bounds the waiting is there for a fault, not for a busy machine.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
PATIENCE = 600.0


@dataclass(frozen=True)
class Site:
    """A Prefect server, and the environment in which its clients and workers run."""

    url: str
    home: Path
    environment: dict[str, str]

    def prefect(self, words: str) -> str:
        """Run one `prefect` command from the root of the checkout; what it printed."""
        done = subprocess.run(
            [*PREFECT, *words.split()],
            cwd=CHECKOUT,
            env=self.environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def _header() -> list[str]:
    """The indented lines of the comment at the head of prefect.yaml: its commands."""
    text = (CHECKOUT / "prefect.yaml").read_text()
    return re.findall(r"^#   (\S.*)$", text, flags=re.MULTILINE)


@contextmanager
def _started(command: list[str], environment: dict[str, str], log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=environment, stdout=output, stderr=subprocess.STDOUT, cwd=log.parent
        )
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The header's commands, up to the deployments, against a server on a free port."""
    folder = tmp_path_factory.mktemp("site")
    port = free_port()
    export, server, *clients, worker = _header()
    assert worker == "prefect worker start --pool cpu"
    name, value = export.removeprefix("export ").split("=")
    environment = {
        **{key: val for key, val in os.environ.items() if not key.startswith("PREFECT_")},
        **QUIET,
        name: value,
        "PREFECT_HOME": str(folder / "home"),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_UI_ENABLED": "false",
        "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2",
        "PREFECT_SERVER_SERVICES_LATE_RUNS_LOOP_SECONDS": "1",
        "PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS": "1",
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "OMP_NUM_THREADS": "1",
    }
    site = Site(environment["PREFECT_API_URL"], folder / "home", environment)
    command = [*PREFECT, *server.split()[1:], "--host", "127.0.0.1", "--port", str(port)]
    with _started(command, environment, folder / "server.log"):
        _until(lambda: answers(f"{site.url}/health"), folder / "server.log")
        for line in clients:
            for part in line.split(" && "):
                site.prefect(part.removeprefix("prefect "))
        yield site


def _until(true: Callable[[], bool], log: Path | None = None) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, log.read_text()[-4000:] if log else "too late"
        time.sleep(0.3)


def _ask(site: Site, method: str, path: str, body: Any = None) -> Any:
    """What the API answers, once it is not busy with another transaction."""
    import httpx

    deadline = time.monotonic() + PATIENCE
    while True:
        answer = httpx.request(method, f"{site.url}/{path}", json=body, timeout=PATIENCE)
        if answer.status_code != 503 or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    answer.raise_for_status()
    return answer.json()


def _post(site: Site, path: str, body: Any) -> Any:
    return _ask(site, "POST", path, body)


def _deployment(site: Site, name: str) -> Any:
    return _ask(site, "GET", f"deployments/name/{name}")


def _runs(site: Site, name: str) -> list[Any]:
    wanted = {"deployments": {"id": {"any_": [_deployment(site, name)["id"]]}}}
    return list(_post(site, "flow_runs/filter", {**wanted, "limit": 200}))


def test_the_file_names_no_dataset_and_no_workspace() -> None:
    deployments = yaml.safe_load((CHECKOUT / "prefect.yaml").read_text())["deployments"]
    assert [(one["name"], one["work_pool"]["name"]) for one in deployments] == [
        ("nightly", "cpu"),
        ("urgent", "cpu"),
        ("nightly-gpu", "gpu"),
        ("gpu", "gpu"),
        ("weekly", "cpu"),
    ]
    given = [parameters for one in deployments if (parameters := one.get("parameters"))]
    assert given == [{"only_pressing": True}]


def test_the_cron_schedule_yields_runs_and_the_inactive_one_none(site: Site) -> None:
    """With SQLAlchemy 2.1 everything works but this: no run is ever created."""
    _until(lambda: len(_runs(site, NIGHTLY)) >= 3)
    scheduled = sorted(run["expected_start_time"] for run in _runs(site, NIGHTLY))
    times = [datetime.fromisoformat(text) for text in scheduled]
    assert {(at.hour, at.minute) for at in times} == {(2, 0)}
    assert times[1] - times[0] == timedelta(days=1)
    assert {run["state_name"] for run in _runs(site, NIGHTLY)} == {"Scheduled"}
    assert {run["created_by"]["type"] for run in _runs(site, NIGHTLY)} == {"SCHEDULE"}
    assert _runs(site, f"{NIGHTLY}-gpu") == []
    assert _runs(site, "audit/weekly") == []


def test_schedules_missed_while_no_worker_ran_are_made_up_for_by_one_batch(
    site: Site, filed: Path, people: tuple[str, ...], tmp_path: Path
) -> None:
    _add_schedule(site, datetime.now(UTC) + timedelta(seconds=20), runs=3)
    _until(lambda: len(_late(site)) == 3)
    worker = {**site.environment, "EXPUNGE_WORKSPACE": str(filed)}
    log = tmp_path / "worker.log"
    with _started([*PREFECT, *_header()[-1].split()[1:]], worker, log):
        _until(lambda: len(_ended(site)) == 3, log)
    assert "COMPLETED" in _ended(site)
    assert {*_ended(site)} <= {"COMPLETED", "CANCELLED"}
    with open_line(filed) as line:
        assert [request.state for request in line.ledger.requests()] == ["completed"] * 4
        assert [batch.state for batch in line.ledger.batches()] == ["finished"]
        assert line.registry.champion("small-mlp") == "2"
    _assert_nobody_known(site, people, log)


def test_an_answer_starts_the_hourly_job_at_once(site: Site, tmp_path: Path) -> None:
    expunge = Expunge(init_workspace(tmp_path / "workspace").root)
    batch = ask(expunge, "judge")
    command = ["approve", batch, "--reason", "fine", "--workspace", str(expunge.root)]
    for _ in range(2):
        said = subprocess.run(
            [sys.executable, "-m", "expunge.cli", *command],
            env=site.environment,
            check=True,
            capture_output=True,
            text=True,
        )
        (run,) = (run for run in _runs(site, URGENT) if not run["auto_scheduled"])
        assert said.stdout.splitlines()[-1] == f"Run {run['name']} goes on with batch {batch}."
        assert run["parameters"] == {"only_pressing": True}


def test_each_model_of_a_batch_is_a_run_on_the_gpu_pool_under_the_fence_of_the_batch(
    site: Site, filed: Path, people: tuple[str, ...], tmp_path: Path
) -> None:
    spec = filed / "models/small-mlp.yaml"
    spec.write_text(spec.read_text().replace("device: cpu", "device: auto"))
    (spec.parent / "other.yaml").write_text(spec.read_text().replace("small-mlp", "other"))
    with open_line(filed) as line:
        train(line, "other")
    environment = {
        **site.environment,
        "EXPUNGE_WORKSPACE": str(filed),
        "EXPUNGE_PLACEMENT_DEPLOYMENT": "unlearn-model/gpu",
    }
    worker = [*PREFECT, *_header()[-1].split()[1:-1]]
    logs = {pool: tmp_path / f"{pool}.log" for pool in ("cpu", "gpu")}
    with (
        _started([*worker, "gpu"], environment, logs["gpu"]),
        _started([*worker, "cpu"], environment, logs["cpu"]),
    ):
        _until(lambda: _pool(site, "gpu")["status"] == "READY", logs["gpu"])
        body = {"state": {"type": "SCHEDULED"}}
        asked = _post(site, f"deployments/{_deployment(site, NIGHTLY)['id']}/create_flow_run", body)
        _until(lambda: _run(site, asked["id"])["end_time"] is not None, logs["cpu"])
        _until(lambda: _finished(filed), logs["cpu"])
    assert _run(site, asked["id"])["state_type"] == "COMPLETED"
    runs = _runs(site, "unlearn-model/gpu")
    assert [run["state_type"] for run in runs] == ["COMPLETED"] * 2
    assert {run["parameters"]["model"] for run in runs} == {"small-mlp", "other"}
    assert len({run["parameters"]["token"] for run in runs}) == 1
    with open_line(filed) as line:
        assert [request.state for request in line.ledger.requests()] == ["completed"] * 4
        assert {line.registry.champion(name) for name in ("small-mlp", "other")} == {"2"}
    told = str(runs) + "".join(path.read_text() for path in logs.values())
    assert not [person for person in people if person in told]


def test_the_server_starts_crashed_batches_again_and_tells_people_of_late_runs(
    site: Site,
) -> None:
    with receiver() as posted:
        made = subprocess.run(
            [sys.executable, "-c", _BLOCK, posted.url],
            env=site.environment,
            capture_output=True,
            text=True,
            check=True,
        )
        command = [sys.executable, "-m", "flows.automations", "--alert", made.stdout.strip()]
        for _ in range(2):
            said = subprocess.run(
                command, env=site.environment, capture_output=True, text=True, check=True
            )
        assert len(said.stdout.splitlines()) == 3
        known = _post(site, "automations/filter", {})
        assert sorted(each["name"] for each in known) == sorted(said.stdout.splitlines())
        past = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
        late = {"state": {"type": "SCHEDULED", "state_details": {"scheduled_time": past}}}
        nightly = _deployment(site, NIGHTLY)["id"]
        run = _post(site, f"deployments/{nightly}/create_flow_run", late)
        assert posted.arrived.wait(PATIENCE)
        assert "deletion-batches is Late" in posted.bodies[0]
    state = {"state": {"type": "CRASHED", "message": "the machine is gone"}, "force": True}
    _post(site, f"flow_runs/{run['id']}/set_state", state)
    _until(lambda: bool(_started_by_automation(site)))
    (again,) = _started_by_automation(site)
    due = datetime.fromisoformat(again["expected_start_time"])
    assert due > datetime.now(UTC) + timedelta(seconds=30)


def _finished(root: Path) -> bool:
    with open_line(root) as line:
        return [batch.state for batch in line.ledger.batches()] == ["finished"]


_BLOCK = """
import sys
from prefect.blocks.notifications import CustomWebhookNotificationBlock as Block
Block(name="alerts", url=sys.argv[1], json_data={"said": "{{subject}} {{body}}"}).save(
    "alerts", overwrite=True
)
print("custom-webhook/alerts")
"""


def _started_by_automation(site: Site) -> list[Any]:
    return [
        run for run in _runs(site, URGENT) if (run["created_by"] or {}).get("type") == "AUTOMATION"
    ]


def _run(site: Site, identifier: str) -> Any:
    return _ask(site, "GET", f"flow_runs/{identifier}")


def _pool(site: Site, name: str) -> Any:
    return _ask(site, "GET", f"work_pools/{name}")


def _add_schedule(site: Site, at: datetime, runs: int) -> None:
    """A second schedule, every second from `at` on: the server's scheduler has to make the runs."""
    nightly = _deployment(site, NIGHTLY)
    rule = f"DTSTART:{at:%Y%m%dT%H%M%SZ}\nRRULE:FREQ=SECONDLY;COUNT={runs}"
    body = [{"schedule": {"rrule": rule, "timezone": "UTC"}, "active": True}]
    _post(site, f"deployments/{nightly['id']}/schedules", body)


def _late(site: Site) -> list[Any]:
    """Runs that should have started, and did not."""
    return [run for run in _runs(site, NIGHTLY) if run["state_name"] == "Late"]


def _ended(site: Site) -> list[str]:
    return [run["state_type"] for run in _runs(site, NIGHTLY) if run["end_time"]]


def _assert_nobody_known(site: Site, people: tuple[str, ...], log: Path) -> None:
    """No subject in Prefect's database, logs or answers; what it has to hold is found there."""
    files = [path for path in site.home.rglob("*") if path.is_file()]
    stored = b"".join(path.read_bytes() for path in (*files, log))
    told = str(_post(site, "flow_runs/filter", {"limit": 200}))
    told += str(_post(site, "task_runs/filter", {"limit": 200}))
    assert "'dataset': 'small'" in told
    assert b'"small"' in stored
    for person in people:
        assert person not in told
        assert person.encode() not in stored
