"""The demo replaces its own workspace and touches nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from expunge.cli.demo.place import NotOursError, fresh_workspace, own_settings


def test_a_second_demo_replaces_the_first_ones_workspace(tmp_path: Path) -> None:
    root = tmp_path / "demo"
    first = fresh_workspace(root)
    (first.state("reports") / "old.json").write_text("{}")
    before = first.keys.reference().key_id
    again = fresh_workspace(root)
    assert not (root / ".expunge" / "reports").exists()
    assert again.keys.reference().key_id != before
    assert again.dataset("digits").classes == 10


def test_a_folder_with_anything_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(NotOursError):
        fresh_workspace(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_workspace_that_no_demo_made_is_left_alone(tmp_path: Path) -> None:
    from expunge.workspace import init_workspace

    workspace = init_workspace(tmp_path / "real")
    with pytest.raises(NotOursError):
        fresh_workspace(workspace.root)
    assert workspace.dataset("digits").name == "digits"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    real = fresh_workspace(tmp_path / "real").root
    (tmp_path / "link").symlink_to(real)
    with pytest.raises(NotOursError):
        fresh_workspace(tmp_path / "link")
    assert (real / "data" / "digits.yaml").is_file()


def test_stores_that_the_environment_names_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPUNGE_LEDGER_URL", "postgresql://production/ledger")
    monkeypatch.setenv("PREFECT_API_URL", "http://production/api")
    with own_settings():
        assert "EXPUNGE_LEDGER_URL" not in os.environ
        assert "PREFECT_API_URL" not in os.environ
    assert os.environ["EXPUNGE_LEDGER_URL"] == "postgresql://production/ledger"
