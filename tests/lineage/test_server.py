"""The same registry over HTTP: a real MLflow server on loopback, behind its basic-auth.

Its user is no administrator, as in a deployment.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow.pytorch
import pytest
import torch

from deploy.mlflow_user import make_user
from expunge.lineage import Candidate, ChampionMovedError, Registry, UnknownModelVersionError
from tests.lineage.conftest import RETAIN, network
from tests.loopback import answers, free_port

MODEL = "digits-cnn"
DEPLOY = Path(__file__).parents[2] / "deploy"
ADMIN, PASSWORD = "an administrator's", "of a user, long enough"
pytestmark = pytest.mark.slow


@pytest.fixture
def server(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    shutil.copyfile(prepared, tmp_path / "server.db")
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{tmp_path / 'server.db'}", "--workers", "1"]
    command += ["--artifacts-destination", str(tmp_path / "store"), "--app-name", "basic-auth"]
    auth = tmp_path / "auth.ini"
    shipped = (DEPLOY / "mlflow-auth.ini").read_text()
    auth.write_text(re.sub("(?<=database_uri = ).*", f"sqlite:///{tmp_path / 'auth.db'}", shipped))
    secrets = {
        "MLFLOW_AUTH_CONFIG_PATH": str(auth),
        "MLFLOW_AUTH_ADMIN_USERNAME": "admin",
        "MLFLOW_AUTH_ADMIN_PASSWORD": ADMIN,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "of this test",
    }
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, cwd=tmp_path, env={**os.environ, **secrets}
        )
    try:
        _wait(f"http://127.0.0.1:{port}/health", process)
        make_user(f"http://127.0.0.1:{port}", "admin", ADMIN, "expunge", PASSWORD)
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "expunge")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        assert process.poll() is None, "the MLflow server ended"
        if answers(url):
            return
        time.sleep(0.2)
    raise AssertionError("the MLflow server did not come up")


def test_a_server_registers_promotes_and_hands_back_like_a_file(
    server: str,
    candidate: Callable[..., Candidate],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The artifact root of an embedded workspace is a local folder, which a server must not get.
    registry = Registry(server, (tmp_path / "not-for-a-server").as_uri(), tmp_path / "scratch")
    module = network(4)
    first = registry.register(candidate(module=module))
    assert registry.register(candidate(module=module)) == first
    second = registry.register(
        candidate("train:2", kind="unlearned", parent="1", datasets=(RETAIN,))
    )
    assert registry.find("train:2") == second
    registry.promote(MODEL, "1", None)
    with pytest.raises(ChampionMovedError):
        registry.promote(MODEL, "2", None)
    registry.promote(MODEL, "2", "1")
    registry.promote(MODEL, "1", "2")
    x = torch.randn(3, 1, 8, 8)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    served = mlflow.pytorch.load_model(f"models:/{MODEL}@champion")
    torch.testing.assert_close(served(x), module.eval()(x))
    assert registry.fetch_weights(MODEL, "2", tmp_path / "base").exists()
    assert registry.table(MODEL, "2")[0]["name"] == "GEN"
    with pytest.raises(UnknownModelVersionError):
        registry.promote(MODEL, "9", "1")
    with pytest.raises(UnknownModelVersionError):
        registry.fetch_weights("other", "1", tmp_path / "other")
    assert registry.champion("other") is None
    assert not (tmp_path / "not-for-a-server").exists()
