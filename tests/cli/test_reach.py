"""What `expunge doctor` connects to: real servers, each found well and found wanting."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
import urllib.request
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from expunge.cli.reach import ledger, mlflow, orchestrator, storage
from expunge.requests import Ledger
from expunge.workspace import Workspace, init_workspace
from tests.loopback import free_port
from tests.postgres import Server, running_server


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return init_workspace(tmp_path_factory.mktemp("reach") / "workspace").root


@pytest.fixture
def root(template: Path, tmp_path: Path) -> Path:
    return shutil.copytree(template, tmp_path / "workspace", symlinks=True)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Server]:
    with running_server() as server:
        yield server


# The ledger


def _made(root: Path) -> Workspace:
    workspace = Workspace.open(root)
    Ledger.open(workspace.settings.ledger.url.get_secret_value(), workspace.keys).close()
    return workspace


def test_a_ledger_of_today_may_be_written_to_and_its_history_only_grows(root: Path) -> None:
    found, mend = ledger.ledger(_made(root))
    assert "it can be written to, and its history only grow" in found
    assert mend == ""


def test_a_ledger_whose_history_can_be_rewritten_is_found(root: Path) -> None:
    workspace = _made(root)
    engine = sa.create_engine(workspace.settings.ledger.url.get_secret_value())
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER events_no_delete")
    found, mend = ledger.ledger(workspace)
    assert "nothing keeps events append-only" in found
    assert "backup" in mend
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    assert "schema 9999 of a newer expunge" in ledger.ledger(workspace)[0]
    engine.dispose()


def test_on_postgresql_each_missing_right_is_found_and_its_mend_mends(
    root: Path, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = f"r{uuid.uuid4().hex[:8]}"
    with postgres.database() as url:
        owner = sa.create_engine(url, isolation_level="AUTOCOMMIT")

        def sql(statement: str) -> None:
            with owner.connect() as connection:
                connection.exec_driver_sql(statement)

        sql(f"CREATE ROLE {role} LOGIN")
        monkeypatch.setenv("EXPUNGE_LEDGER_URL", url.replace("tester@", f"{role}@"))
        workspace = Workspace.open(root)
        assert "may not create tables" in ledger.ledger(workspace)[0]
        sql(f"GRANT USAGE, CREATE ON SCHEMA public TO {role}")
        assert ledger.ledger(workspace) == (
            f"{url.replace('tester@', f'{role}@')} answers; its tables are made at first use", ""
        )  # fmt: skip
        Ledger.open(url, workspace.keys).close()
        sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
        found, mend = ledger.ledger(workspace)
        assert "cannot be written to" in found
        sql(mend.partition(" TO the role")[0] + f" TO {role}")
        assert ledger.ledger(workspace)[1] == ""
        sql("ALTER TABLE qualifications DISABLE TRIGGER qualifications_append_only")
        assert "nothing keeps qualifications append-only" in ledger.ledger(workspace)[0]
        sql(f"DROP OWNED BY {role}")
        sql(f"DROP ROLE {role}")
        owner.dispose()


# The DVC remote on S3


@pytest.fixture
def bucket(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An S3 server with one bucket, and the workspace's remote in it."""
    import boto3
    from moto.server import ThreadedMotoServer

    for name, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "hunter2",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    boto3.client("s3").create_bucket(Bucket="people")
    config = root / ".dvc" / "config"
    config.write_text(
        "[core]\nremote = store\nanalytics = false\n"
        f"['remote \"store\"']\nurl = s3://people/rows\nendpointurl = {endpoint}\n"
    )
    yield "people"
    server.stop()


def test_a_bucket_takes_and_gives_back_files_and_its_versioning_is_told(
    root: Path, bucket: str
) -> None:
    import boto3

    found, mend = storage.remote(Workspace.open(root))
    assert "takes, gives back and removes files; versioning of bucket people is off" in found
    assert mend == ""
    assert "Contents" not in boto3.client("s3").list_objects_v2(Bucket=bucket)
    boto3.client("s3").put_bucket_versioning(
        Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    assert "bucket people is versioned" in storage.remote(Workspace.open(root))[0]


def test_a_bucket_that_is_not_there_is_found(root: Path, bucket: str) -> None:
    from expunge.errors import ExpungeError

    config = root / ".dvc" / "config"
    config.write_text(config.read_text().replace("s3://people", "s3://nobody"))
    with pytest.raises(ExpungeError, match="Reaching the DVC remote failed") as caught:
        storage.remote(Workspace.open(root))
    assert "hunter2" not in str(caught.value)


# The git remote


@pytest.mark.parametrize("may_push", [False, True])
def test_whether_the_git_remote_takes_a_push_is_tried_without_pushing(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, may_push: bool
) -> None:
    bare, port = tmp_path / "bare.git", free_port()
    subprocess.run(["git", "init", "--quiet", "--bare", str(bare)], check=True)
    command = ["git", "daemon", f"--base-path={tmp_path}", "--export-all", f"--port={port}"]
    command += ["--listen=127.0.0.1", *(["--enable=receive-pack"] if may_push else [])]
    daemon = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port)
        url = f"git://127.0.0.1:{port}/bare.git"
        subprocess.run(["git", "-C", str(root), "remote", "add", "up", url], check=True)
        monkeypatch.setenv("EXPUNGE_GIT_REMOTE", "up")
        found, mend = storage.git(Workspace.open(root))
    finally:
        daemon.terminate()
        daemon.wait(30)
    assert ("takes a push" in found) == may_push
    assert ("the right to push to up" in mend) != may_push
    assert not any((bare / "refs" / "heads").iterdir())


def _wait_for(port: int) -> None:
    for _ in range(1500):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the server did not come up")


# The Prefect server


def test_without_a_prefect_server_there_is_nothing_to_mend(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert orchestrator.prefect(Workspace.open(root))[1] == ""


def test_a_prefect_server_that_does_not_answer_is_found(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{free_port()}/api")
    found, mend = orchestrator.prefect(Workspace.open(root))
    assert "onnect" in found
    assert "PREFECT_API_URL" in mend


@pytest.mark.slow
def test_what_a_prefect_server_lacks_is_found_until_it_lacks_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.embedded import embedded_api, wait_for_api

    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    workspace = Workspace.open(root)
    with embedded_api(root / ".expunge" / "prefect"):
        wait_for_api()
        found, mend = orchestrator.prefect(workspace)
        for missing in ("no pool cpu", "no pool gpu", "is not deployed", "expunge-accelerator"):
            assert missing in found
        assert "prefect work-pool create cpu --type process" in mend
        _deploy()
        found, mend = orchestrator.prefect(workspace)
        assert "but no worker of pool cpu is alive" in found
        assert mend == "prefect worker start --pool cpu"
        _work()
        assert orchestrator.prefect(workspace)[1] == ""


def _deploy() -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import (
        DeploymentScheduleCreate,
        GlobalConcurrencyLimitCreate,
        WorkPoolCreate,
    )
    from prefect.client.schemas.schedules import IntervalSchedule

    with get_client(sync_client=True) as client:
        for name in orchestrator.POOLS:
            client.create_work_pool(WorkPoolCreate(name=name, type="process"))
        every_day = DeploymentScheduleCreate(
            schedule=IntervalSchedule(interval=timedelta(days=1)), active=True
        )
        client.create_deployment(
            flow_id=client.create_flow_from_name(orchestrator.FLOW),
            name="nightly",
            work_pool_name="cpu",
            schedules=[every_day],
        )
        limit = GlobalConcurrencyLimitCreate(name="expunge-accelerator", limit=1)
        client.create_global_concurrency_limit(limit)


def _work() -> None:
    """What a worker says every half minute."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        client.send_worker_heartbeat("cpu", "tester", heartbeat_interval_seconds=30)


# The MLflow server


@pytest.mark.slow
def test_an_mlflow_server_is_asked_for_what_a_run_needs_of_it(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    port, files = free_port(), tmp_path / "files"
    command = [sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{tmp_path / 'mlflow.db'}"]
    command += ["--artifacts-destination", str(files)]
    settings = tmp_path / "auth.ini"
    settings.write_text(
        "[mlflow]\ndefault_permission = READ\nadmin_username = admin\n"
        "admin_password = hunter2-hunter2\nauthorization_function = "
        "mlflow.server.auth:authenticate_request_basic_auth\n"
        f"database_uri = sqlite:///{tmp_path / 'auth.db'}\n"
    )
    monkeypatch.setenv("MLFLOW_AUTH_CONFIG_PATH", str(settings))
    monkeypatch.setenv("MLFLOW_FLASK_SERVER_SECRET_KEY", "for this test only")
    monkeypatch.setenv("EXPUNGE_MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "")  # so that it is put back afterwards
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=tmp_path)
    try:
        _wait_for(port)
        urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=200).close()
        found, mend = _mlflow(root)
        assert "cannot be read" in found
        assert "EXPUNGE_MLFLOW_PASSWORD" in mend
        monkeypatch.setenv("EXPUNGE_MLFLOW_USERNAME", "admin")
        monkeypatch.setenv("EXPUNGE_MLFLOW_PASSWORD", "hunter2-hunter2")
        assert _mlflow(root)[0].endswith("it takes models and files")
        assert not [path for path in files.rglob("*") if path.is_file()]
        shutil.rmtree(files)
        files.write_text("no folder")
        found, mend = _mlflow(root)
        assert "cannot take files" in found
        assert "--artifacts-destination" in mend
        assert "hunter2" not in found + mend
    finally:
        process.terminate()
        process.wait(120)


def _mlflow(root: Path) -> tuple[str, str]:
    return mlflow.mlflow(Workspace.open(root))
