"""The Prefect server that a process starts for itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from expunge.errors import TransientError
from flows.embedded import embedded_api, wait_for_api


@pytest.fixture(autouse=True)
def _no_server_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)


def _prefect_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("PREFECT_")}


def test_a_block_leaves_the_environment_as_it_was_and_a_nested_one_shares_its_server(
    tmp_path: Path,
) -> None:
    with embedded_api(tmp_path / "first"):
        url = os.environ["PREFECT_API_URL"]
        assert url.startswith("http://127.0.0.1:")
        inside = _prefect_environment()
        with embedded_api(tmp_path / "second"):
            assert _prefect_environment() == inside
        assert _prefect_environment() == inside
    assert "PREFECT_API_URL" not in _prefect_environment()
    assert "PREFECT_HOME" not in _prefect_environment()
    assert not (tmp_path / "second").exists()


def test_a_configured_server_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://prefect.example:4200/api")
    with embedded_api(tmp_path / "prefect"):
        wait_for_api()
        assert os.environ["PREFECT_API_URL"] == "http://prefect.example:4200/api"
    assert not (tmp_path / "prefect").exists()


def test_a_server_that_cannot_start_is_reported_at_once_with_its_log(tmp_path: Path) -> None:
    home = tmp_path / "prefect"
    home.mkdir()
    (home / "prefect.db").write_bytes(b"this is not a database" * 100)
    with embedded_api(home), pytest.raises(TransientError, match="ended with status") as raised:
        wait_for_api()
    assert str(home / "server.log") in raised.value.fix
    assert "file is not a database" in (home / "server.log").read_text()


def test_the_server_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys, time, pathlib, flows.embedded as e\n"
        "with e.embedded_api(pathlib.Path(sys.argv[1])):\n"
        "    print(e._running[0].process.pid, flush=True)\n"
        "    time.sleep(60)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "prefect")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        server = psutil.Process(int(parent.stdout.readline()))
        assert server.is_running()
        parent.kill()
    assert psutil.wait_procs([server], timeout=30)[1] == []
