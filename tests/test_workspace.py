import os
import shutil
import stat
import subprocess

import pytest

from expunge.errors import TerminalError
from expunge.specs import SpecError
from expunge.workspace import Workspace, init_workspace, reference_folder


@pytest.fixture(autouse=True)
def _own_git_and_dvc(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)


def git(root, *args):
    done = subprocess.run(["git", "-C", str(root), *args], check=True, capture_output=True)
    return done.stdout.decode().strip()


DATASET = "name: toy\nclasses: 2\nfeatures: {columns: [a]}\n"
MODEL = (
    "name: toy_mlp\ndataset: toy\nfactory: mlp.py:build\nrecipe: {epochs: 1}\n"
    "ladder: [{strategy: exact_retrain}]\n"
)


def test_init_makes_a_committed_git_and_dvc_repo_of_the_reference_specs(tmp_path):
    workspace = init_workspace(tmp_path / "new")
    root = workspace.root
    assert git(root, "status", "--porcelain") == ""
    assert git(root, "log", "--format=%an %s") == "expunge Set up the expunge workspace"
    for folder in ("data", "models"):
        for file in (reference_folder() / folder).glob("*.yaml"):
            assert (root / folder / file.name).read_bytes() == file.read_bytes()
    assert git(root, "check-ignore", ".expunge/ledger.db")
    assert stat.S_IMODE((root / ".expunge").stat().st_mode) == 0o700


def test_init_again_changes_nothing(tmp_path):
    root = init_workspace(tmp_path / "new").root
    head = git(root, "rev-parse", "HEAD")
    init_workspace(root)
    assert git(root, "rev-parse", "HEAD") == head


def test_init_goes_on_where_it_was_killed(tmp_path):
    root = init_workspace(tmp_path / "new").root
    shutil.rmtree(root / ".git")
    shutil.rmtree(root / ".dvc")
    init_workspace(root)
    assert git(root, "status", "--porcelain") == ""


def test_a_folder_of_somebody_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("do not touch")
    with pytest.raises(TerminalError, match="neither empty nor a git repository"):
        init_workspace(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_init_in_a_repository_takes_nothing_of_the_users_along(tmp_path):
    root = tmp_path / "repo"
    (root / "data").mkdir(parents=True)
    git(root, "init", "--quiet")
    git(root, "config", "user.name", "user")
    git(root, "config", "user.email", "user@localhost")
    hook = root / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    (root / "data" / "raw.csv").write_text("private rows\n")
    (root / "staged.txt").write_text("staged\n")
    git(root, "add", "staged.txt")
    init_workspace(root)
    status = git(root, "status", "--porcelain", "--untracked-files=all").splitlines()
    assert status == ["A  staged.txt", "?? data/raw.csv"]


def test_an_edited_spec_is_neither_overwritten_nor_committed(tmp_path):
    root = init_workspace(tmp_path / "new").root
    (root / "models" / "mlp.py").write_text("# mine\n")
    init_workspace(root)
    assert (root / "models" / "mlp.py").read_text() == "# mine\n"
    assert git(root, "status", "--porcelain") == "M models/mlp.py"


def test_a_workspace_can_be_moved(tmp_path):
    root = init_workspace(tmp_path / "new").root
    assert str(root) not in (root / ".dvc" / "config").read_text()


def test_opening_what_is_no_workspace_says_how_to_make_one(tmp_path):
    with pytest.raises(TerminalError, match="expunge init"):
        Workspace.open(tmp_path)


def test_telemetry_and_pickle_are_off_once_a_workspace_is_open(tmp_path, monkeypatch):
    names = {
        "DO_NOT_TRACK": "1",
        "DVC_NO_ANALYTICS": "1",
        "GX_ANALYTICS_ENABLED": "false",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }
    for name in names:
        monkeypatch.delenv(name, raising=False)
    init_workspace(tmp_path / "new")
    assert {name: os.environ.get(name) for name in names} == names


def test_specs_are_found_by_name_and_by_dataset(tmp_path):
    workspace = init_workspace(tmp_path / "new")
    (workspace.root / "data" / "toy.yaml").write_text(DATASET)
    (workspace.root / "models" / "toy_mlp.yaml").write_text(MODEL)
    assert workspace.dataset("toy").classes == 2
    assert workspace.model("toy_mlp").dataset == "toy"
    assert "toy" in [spec.name for spec in workspace.datasets()]
    assert [spec.name for spec in workspace.models("toy")] == ["toy_mlp"]
    assert "toy_mlp" in [spec.name for spec in workspace.models()]


@pytest.mark.parametrize("name", ["../toy", "/etc/passwd", "absent"])
def test_an_unknown_or_escaping_name_is_a_spec_error(tmp_path, name):
    workspace = init_workspace(tmp_path / "new")
    with pytest.raises(SpecError):
        workspace.dataset(name)
    with pytest.raises(SpecError):
        workspace.model(name)


def test_state_folders_are_private(tmp_path):
    workspace = init_workspace(tmp_path / "new")
    folder = workspace.state("staging", "b-1")
    assert folder == workspace.root / ".expunge" / "staging" / "b-1"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
