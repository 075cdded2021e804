"""The demo replaces its own workspace and touches nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from expunge.cli.demo.place import NotOursError, fresh_workspace, own_settings
from expunge.cli.demo.writers import WRITERS, subject_of
from expunge.dataset.placement import Placement
from expunge.specs import load_dataset_spec
from expunge.workspace import reference_folder


def test_a_second_demo_replaces_the_first_ones_workspace(tmp_path: Path) -> None:
    root = tmp_path / "demo"
    first = fresh_workspace(root)
    (first.state("reports") / "old.json").write_text("{}")
    before = first.keys.reference().key_id
    again = fresh_workspace(root)
    assert not (root / ".expunge" / "reports").exists()
    assert again.keys.reference().key_id != before
    assert again.dataset("digits").classes == 10


def test_every_demo_gives_a_writer_the_same_role(tmp_path: Path) -> None:
    keys = [fresh_workspace(tmp_path / name).keys for name in ("one", "two")]
    assert keys[0].placement("digits") == keys[1].placement("digits")
    assert (keys[0].folder / "placement-digits.key").stat().st_mode & 0o777 == 0o600
    spec = load_dataset_spec(reference_folder() / "data" / "digits.yaml")
    place = Placement(keys[0].placement("digits"), shards=spec.shards, shares=spec.roles).place
    roles = np.bincount(place([subject_of(writer) for writer in range(WRITERS)]).role)
    assert np.abs(roles / WRITERS - [0.65, 0.05, 0.12, 0.06, 0.12]).max() < 0.03


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
