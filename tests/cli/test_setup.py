"""`expunge init`, `doctor`, `key rotate`: around the workspace."""

from __future__ import annotations

import json
import subprocess

from typer.testing import CliRunner

from expunge.cli.app import app
from expunge.workspace import Workspace


def test_init_makes_a_workspace_and_again_changes_nothing(tmp_path):
    root = tmp_path / "new"
    first = CliRunner().invoke(app, ["init", str(root)])
    keys = [key.key_id for key in Workspace.open(root).keys.references()]
    again = CliRunner().invoke(app, ["init", str(root)])
    assert (first.exit_code, again.exit_code) == (0, 0), first.output
    assert "digits" in first.stdout
    assert [key.key_id for key in Workspace.open(root).keys.references()] == keys
    log = subprocess.check_output(["git", "-C", root, "log", "--format=%an"], text=True)
    assert log == "expunge\n"


def test_init_refuses_a_folder_with_something_else(tmp_path):
    (tmp_path / "letter.txt").write_text("hello")
    result = CliRunner().invoke(app, ["init", str(tmp_path)])
    assert result.exit_code == 1
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_key_rotate_keeps_old_references_valid(expunge):
    first = expunge.json("request", "add", "anna", "--id", "1")
    result = expunge("key", "rotate")
    assert result.exit_code == 0
    keys = Workspace.open(expunge.root).keys.references()
    assert len(keys) == 2
    assert keys[-1].key_id in result.stdout
    assert expunge.json("request", "add", "anna", "--id", "1") == first | {"outcome": "duplicate"}
    shown = expunge.json("request", "show", expunge.json("request", "add", "anna")["request_id"])
    assert shown["key_id"] == keys[-1].key_id


def test_doctor_lists_every_check_and_fails_when_one_does(expunge):
    result = expunge("doctor", "--json")
    checks = json.loads(result.stdout)
    assert {"keys", "ledger"} <= {check["name"] for check in checks}
    assert result.exit_code == (0 if all(check["ok"] for check in checks) else 1)
    (expunge.root / "data" / "people.yaml").write_text("name: people\n")
    broken = expunge("doctor")
    assert broken.exit_code == 1
    assert "MEND" in broken.stdout
    assert "next:" in broken.stdout
