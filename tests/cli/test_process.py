"""The command as a process: how it starts, what it says on which stream, how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import expunge.cli as package
from expunge.errors import TerminalError, TransientError

EXPUNGE = [sys.executable, "-m", "expunge.cli"]
HEAVY = {"torch", "mlflow", "dvc", "prefect", "great_expectations", "pyarrow", "sqlalchemy"}


def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*EXPUNGE, *arguments], capture_output=True, text=True, check=False, timeout=120, **options
    )


def test_help_imports_nothing_heavy():
    script = "import sys, expunge.cli; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert not HEAVY & set(loaded.stdout.split())


def test_help_comes_within_a_second():
    best = float("inf")
    for _ in range(3):
        started = time.monotonic()
        assert run("--help").returncode == 0
        best = min(best, time.monotonic() - started)
    assert best < 1.0


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("request",),
        ("trace",),
        ("model",),
        ("key",),
        *(
            ("request", verb)
            for verb in ["add", "import", "list", "show", "hold", "release", "deny", "cancel"]
        ),
        *((verb,) for verb in ["init", "doctor", "ingest", "train", "audit"]),
        *((verb,) for verb in ["run", "status", "demo"]),
        ("trace", "request"),
        ("trace", "model"),
        ("trace", "dataset"),
        ("model", "rollback"),
        ("model", "list"),
        ("key", "rotate"),
    ],
)
def test_every_command_explains_itself(expunge, arguments):
    result = expunge(*arguments, "--help")
    assert result.exit_code == 0
    assert "Usage: " in result.stdout


def test_version_is_the_packages():
    from importlib.metadata import version

    assert run("--version").stdout == f"expunge {version('expunge')}\n"


def test_an_error_is_three_lines_without_a_traceback(tmp_path):
    result = run("status", "--workspace", str(tmp_path))
    what, left, following = result.stderr.splitlines()
    assert result.returncode == 1
    assert result.stdout == ""
    assert what == f"error: {tmp_path} is not an expunge workspace."
    assert left.startswith(" left: ")
    assert following.startswith(" next: ")


def test_with_json_the_error_is_json_on_standard_error(tmp_path):
    result = run("status", "--json", "--workspace", str(tmp_path))
    told = json.loads(result.stderr)
    assert result.stdout == ""
    assert (told["error"], told["transient"]) == ("TerminalError", False)
    assert {"what", "left", "next"} < set(told)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (TerminalError("It broke.", fix="mend it"), 1),
        (TransientError("It was away.", fix="run again"), 75),
    ],
)
def test_the_exit_status_tells_terminal_from_transient(expunge, monkeypatch, error, status):
    from expunge.requests import Ledger

    def fail(*given: object, **named: object) -> None:
        raise error

    monkeypatch.setattr(Ledger, "open", fail)
    result = expunge("request", "list")
    assert result.exit_code == status
    assert error.what in result.stderr


def test_a_locked_dataset_is_transient(expunge, tmp_path):
    rows = tmp_path / "rows.csv"
    rows.write_text("record_id,subject_id,label,a,b,c,d\n")
    with expunge.ledger() as ledger, ledger.lock("people"):
        result = expunge("ingest", "people", "--from", str(rows))
    assert result.exit_code == 75, result.output
    assert "people" in result.stderr


def test_an_unexpected_exception_shows_no_local_variable(expunge):
    script = """
    import sys
    from expunge.cli import app
    from expunge.cli import subject

    def broken(argument, file):
        secret = "anna.persson" + "@example.org"
        raise RuntimeError("broken on purpose")

    import expunge.cli.requests as requests
    requests.subject_id = broken
    sys.argv = ["expunge", "request", "add", "x"]
    app.main()
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"EXPUNGE_WORKSPACE": str(expunge.root)},
    )
    assert result.returncode == 1
    assert "broken on purpose" in result.stderr
    assert "anna.persson@example.org" not in result.stdout + result.stderr


def test_workspace_comes_from_option_before_or_after_the_command_or_the_environment(
    expunge, tmp_path
):
    root = str(expunge.root)
    bare = {name: value for name, value in os.environ.items() if name != "EXPUNGE_WORKSPACE"}
    ways = (
        run("--workspace", root, "request", "list", env=bare),
        run("request", "list", "--workspace", root, env=bare),
        run("request", "list", env=bare | {"EXPUNGE_WORKSPACE": root}),
        run("request", "list", env=bare, cwd=root),
    )
    assert [way.stdout for way in ways] == ["No requests.\n"] * 4
    assert run("request", "list", env=bare, cwd=tmp_path).returncode == 1


def test_a_reader_that_goes_away_is_no_traceback(expunge):
    command = f"{' '.join(EXPUNGE)} request list --workspace {expunge.root} | true"
    result = subprocess.run(["bash", "-c", command], check=False, capture_output=True, text=True)
    assert "Traceback" not in result.stderr


HOLDING = """
import time
from expunge.cli import app, command, session

def wait(session: session.Session) -> None:
    with session.ledger() as ledger, ledger.lock("people"):
        print("locked", flush=True)
        time.sleep(60)

command.command(app.app)(wait)
app.main()
"""


def test_sigterm_gives_the_lock_back_and_ends_with_143(expunge):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDING, "wait", "--workspace", str(expunge.root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 143
    assert "Traceback" not in errors
    with expunge.ledger() as ledger, ledger.lock("people") as fence:
        assert fence.dataset == "people"


def test_the_package_runs_as_a_module_and_as_a_script():
    script = Path(sys.executable).with_name("expunge")
    assert callable(package.main)
    assert subprocess.check_output([script, "--version"], text=True).startswith("expunge ")
