import os
import shutil
import socket
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from expunge.cli import doctor
from expunge.cli.doctor import diagnose
from expunge.dataset.versions import publish
from expunge.workspace import QUIET, Workspace, init_workspace

DATASET = "name: toy\nclasses: 2\nfeatures: {columns: [a]}\n"
MODEL = (
    "name: toy_mlp\ndataset: toy\nfactory: toy.py:build\nrecipe: {epochs: 1}\n"
    "ladder: [{strategy: exact_retrain}]\n"
)


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    root = tmp_path_factory.mktemp("doctor") / "workspace"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        patch.setenv("DVC_SITE_CACHE_DIR", str(root.with_name("site")))
        workspace = init_workspace(root)
        for path in (*root.glob("data/*.yaml"), *root.glob("models/*")):
            path.unlink()
        (root / "data" / "toy.yaml").write_text(DATASET)
        (root / "models" / "toy_mlp.yaml").write_text(MODEL)
        (root / "models" / "toy.py").write_text("")
        workspace.keys.placement("toy", create=True)
        workspace.keys.reference()
        staging = workspace.state("staging")
        (staging / "shard-0").write_bytes(b"rows")
        publish(root, "toy", staging, key="ingest:1", message="Ingest")
    return root


@pytest.fixture
def workspace(template, tmp_path, monkeypatch):
    """A healthy workspace with one published dataset."""
    for name in [name for name in os.environ if name.startswith("EXPUNGE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    return Workspace.open(shutil.copytree(template, tmp_path / "workspace", symlinks=True))


def finding(workspace, name):
    """One check, alone: the whole round is tested once."""
    checks = {check.name: check for check in diagnose(workspace)}
    return checks[name]


@pytest.fixture(autouse=True)
def _only_what_is_asked(request, monkeypatch):
    """Leave the check of the GPU, which imports torch, to the tests that name it."""
    if "gpu" not in request.node.name and "healthy" not in request.node.name:
        monkeypatch.setattr(doctor, "_gpu", lambda _: ("not asked", ""))


def test_a_healthy_workspace_has_nothing_to_mend(workspace):
    checks = diagnose(workspace)
    assert [check for check in checks if not check.ok] == []
    assert all(check.found and not check.mend for check in checks)
    assert [check.name for check in checks] == [
        "packages", "fastapi", "sqlalchemy", "settings", "specs", "keys", "ledger", "mlflow",
        "dvc remote", "git", "prefect", "gpu", "placement", "telemetry", "disk",
    ]  # fmt: skip


def test_looking_changes_nothing(workspace):
    def everything():
        return {path for path in workspace.root.rglob("*") if ".git" not in path.parts}

    before = everything()
    diagnose(workspace)
    assert {path.name for path in everything() - before} <= {"tmp", "btime", "lock", "rwlock.lock"}


@pytest.mark.parametrize(
    ("name", "version", "check"),
    [
        ("fastapi", "0.151.0", "fastapi"),
        ("sqlalchemy", "2.1.0", "sqlalchemy"),
        ("pyarrow", "26.0.0", "packages"),
        ("torch", "2.14.0+cu130", "packages"),
    ],
)
def test_a_release_that_breaks_is_named_with_the_way_back(
    workspace, monkeypatch, name, version, check
):
    real = metadata.version
    monkeypatch.setattr(metadata, "version", lambda n: version if n == name else real(n))
    found = finding(workspace, check)
    assert not found.ok
    assert f"{name} {version}" in found.found
    assert "requirements.lock" in found.mend


def test_a_missing_package_is_named(workspace, monkeypatch):
    real = metadata.version

    def version(name):
        if name == "dvc":
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(metadata, "version", version)
    assert "dvc absent" in finding(workspace, "packages").found


def test_every_spec_that_cannot_be_used_is_named(workspace):
    (workspace.root / "data" / "bad.yaml").write_text("name: bad\nclasses: 1\n")
    (workspace.root / "models" / "lost.yaml").write_text(
        MODEL.replace("toy_mlp", "lost").replace("dataset: toy", "dataset: gone")
        .replace("toy.py", "gone.py")
    )  # fmt: skip
    found = finding(workspace, "specs")
    assert not found.ok
    for part in ("data/bad.yaml", "field classes", "data/gone.yaml", "models/gone.py"):
        assert part in found.found


def test_keys_that_others_can_read_are_found_and_the_mend_mends(workspace):
    folder = workspace.settings.folders.keys
    folder.chmod(0o755)
    key = next(folder.glob("*.key"))
    key.chmod(0o644)
    found = finding(workspace, "keys")
    assert not found.ok
    subprocess.run(["sh", "-c", found.mend], check=True)
    assert finding(workspace, "keys").ok


def test_a_lost_placement_key_is_found(workspace):
    (workspace.settings.folders.keys / "placement-toy.key").unlink()
    assert "placement key of toy" in finding(workspace, "keys").found
    shutil.rmtree(workspace.settings.folders.keys)
    assert finding(workspace, "keys").found == "no key folder"


def test_a_ledger_that_does_not_answer_is_found_and_its_password_hidden(workspace, monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    url = f"postgresql+psycopg://me:hunter2@127.0.0.1:{port}/ledger"
    monkeypatch.setenv("EXPUNGE_LEDGER_URL", url)
    found = finding(Workspace.open(workspace.root), "ledger")
    assert not found.ok
    assert "EXPUNGE_LEDGER_URL" in found.mend
    assert "hunter2" not in repr(found)


def test_a_file_that_is_no_ledger_is_found(workspace):
    (workspace.root / ".expunge" / "ledger.db").write_bytes(b"not a database" * 100)
    assert not finding(workspace, "ledger").ok


def test_an_mlflow_server_that_is_not_there_is_found(workspace, monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    monkeypatch.setenv("EXPUNGE_MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    found = finding(Workspace.open(workspace.root), "mlflow")
    assert not found.ok
    assert "start the MLflow server" in found.mend


def test_a_remote_that_cannot_be_written_to_is_found(workspace):
    remote = workspace.root / ".expunge" / "remote"
    shutil.rmtree(remote)
    remote.write_text("not a folder")
    assert not finding(workspace, "dvc remote").ok
    config = workspace.root / ".dvc" / "config"
    config.write_text(config.read_text().replace("remote = store\n", ""))
    assert "dvc remote add" in finding(workspace, "dvc remote").mend


def test_probing_the_remote_leaves_nothing_there(workspace):
    remote = workspace.root / ".expunge" / "remote"
    before = sorted(remote.rglob("*"))
    assert finding(workspace, "dvc remote").ok
    assert sorted(remote.rglob("*")) == before


def test_a_detached_head_an_unfinished_publishing_and_a_lost_git_remote_are_found(
    workspace, monkeypatch
):
    git = ["git", "-C", str(workspace.root)]
    pointer = workspace.root / "data" / "toy.dvc"
    committed = pointer.read_bytes()
    pointer.write_bytes(committed.replace(b"size: 4", b"size: 5"))
    assert "data/toy.dvc" in finding(workspace, "git").found
    pointer.write_bytes(committed)
    monkeypatch.setenv("EXPUNGE_GIT_REMOTE", "nowhere")
    assert not finding(Workspace.open(workspace.root), "git").ok
    subprocess.run([*git, "checkout", "--quiet", "--detach"], check=True)
    assert "switch BRANCH" in finding(workspace, "git").mend


def test_a_model_that_asks_for_a_gpu_where_there_is_none_is_found(workspace, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr(doctor, "_driver", lambda: None)
    assert finding(workspace, "gpu").found == "none: the CPU is used"
    (workspace.root / "models" / "toy_mlp.yaml").write_text(MODEL + "device: cuda\n")
    assert "toy_mlp asks for cuda" in finding(workspace, "gpu").found


def test_a_gpu_driver_that_torch_cannot_use_is_found(workspace, monkeypatch, tmp_path):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    fake = tmp_path / "nvidia-smi"
    fake.write_text("#!/bin/sh\necho 550.54.15\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found = finding(workspace, "gpu")
    assert "driver 550.54.15" in found.found
    assert "TORCH_INDEX" in found.mend


def test_telemetry_that_was_switched_on_again_is_found(workspace, monkeypatch):
    assert finding(workspace, "telemetry").ok
    monkeypatch.setenv("DVC_NO_ANALYTICS", "0")
    found = finding(workspace, "telemetry")
    assert found.mend == f"export DVC_NO_ANALYTICS={QUIET['DVC_NO_ANALYTICS']}"


def test_too_little_room_for_another_version_is_found(workspace, monkeypatch):
    usage = shutil.disk_usage(workspace.root)._replace(free=2**29)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    found = finding(workspace, "disk")
    assert not found.ok
    assert "0.5 GiB free" in found.found


def test_a_setting_that_cannot_be_used_does_not_hide_the_other_checks(workspace):
    (workspace.root / "expunge.toml").write_text("max_batch = 0\n")
    checks = {check.name: check for check in diagnose(Workspace.open(workspace.root))}
    assert "max_batch" in checks["settings"].found
    assert checks["packages"].ok
    assert checks["dvc remote"].ok


def test_the_module_itself_imports_nothing_heavy():
    code = "import expunge.cli.doctor, sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        cwd=Path(doctor.__file__).parents[2],
    ).stdout.split()  # fmt: skip
    assert {"torch", "mlflow", "prefect", "dvc", "great_expectations"} & set(loaded) == set()
