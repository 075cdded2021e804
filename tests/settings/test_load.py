from pathlib import Path

import pytest

from expunge.errors import TerminalError
from expunge.settings import Invocation, TaskSettings, load_settings, read


def test_the_defaults_need_no_server(tmp_path):
    settings = load_settings(tmp_path)
    ledger, mlflow = settings.ledger.url, settings.mlflow.tracking_uri
    assert ledger.get_secret_value() == f"sqlite:///{tmp_path}/.expunge/ledger.db"
    assert mlflow.get_secret_value() == f"sqlite:///{tmp_path}/.expunge/mlflow.db"
    assert settings.mlflow.artifacts == f"file://{tmp_path}/.expunge/mlartifacts"
    assert settings.folders.keys == tmp_path / ".expunge" / "keys"
    assert settings.git.remote is None


def test_the_environment_comes_before_the_file_and_the_file_before_defaults(tmp_path, monkeypatch):
    (tmp_path / "expunge.toml").write_text('max_batch = 7\nlease_seconds = 5\ngit_remote = "up"\n')
    monkeypatch.setenv("EXPUNGE_MAX_BATCH", "9")
    settings = load_settings(tmp_path)
    assert settings.batches.max_batch == 9
    assert settings.locks.lease_seconds == 5
    assert settings.git.remote == "up"


def test_a_table_of_the_file_is_the_start_of_the_names_in_it(tmp_path):
    (tmp_path / "expunge.toml").write_text('[git]\nremote = "up"\n[mlflow]\nusername = "ci"\n')
    settings = load_settings(tmp_path)
    assert (settings.git.remote, settings.mlflow.username) == ("up", "ci")
    (tmp_path / "expunge.toml").write_text('git_remote = "up"\n[git]\nremote = "down"\n')
    with pytest.raises(TerminalError, match="git_remote twice"):
        load_settings(tmp_path)


def test_two_workspaces_do_not_share_a_file(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    (tmp_path / "a" / "expunge.toml").write_text("max_batch = 7\n")
    assert load_settings(tmp_path / "a").batches.max_batch == 7
    assert load_settings(tmp_path / "b").batches.max_batch == 10_000


def test_relative_folders_are_below_the_workspace_wherever_one_stands(tmp_path, monkeypatch):
    (tmp_path / "expunge.toml").write_text('keys = "secret/keys"\n')
    monkeypatch.setenv("EXPUNGE_STATE", "/elsewhere")
    monkeypatch.chdir("/")
    settings = load_settings(tmp_path)
    assert settings.folders.keys == tmp_path / "secret" / "keys"
    assert settings.folders.state == Path("/elsewhere")


def test_what_belongs_to_a_process_is_read_from_the_environment_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPUNGE_TASK_RETRY_DELAYS", "[0.1, 2]")
    monkeypatch.setenv("EXPUNGE_WORKSPACE", "/srv/work")
    assert read(TaskSettings).retry_delays == [0.1, 2.0]
    assert read(Invocation).workspace == Path("/srv/work")
    (tmp_path / "expunge.toml").write_text("task_retries = 1\n")
    with pytest.raises(TerminalError, match="read from the environment only") as caught:
        load_settings(tmp_path)
    assert "export EXPUNGE_TASK_RETRIES" in caught.value.fix


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("max_batch = 0\n", "max_batch: Input should be greater"),
        ('max_batch = "many"\n', "max_batch: Input should be a valid integer"),
        ("lease_seconds = 0\n", "lease_seconds"),
        ("max_batch = \n", "not TOML"),
        ('git_remote = "https://me:hunter2@host/r"\n', "git_remote: .*credential helper"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(tmp_path, text, named):
    (tmp_path / "expunge.toml").write_text(text)
    with pytest.raises(TerminalError, match=named) as caught:
        load_settings(tmp_path)
    assert "hunter2" not in str(caught.value)


def test_a_list_that_is_no_json_is_named(monkeypatch):
    monkeypatch.setenv("EXPUNGE_TASK_RETRY_DELAYS", "5,30")
    with pytest.raises(TerminalError, match="retry_delays"):
        read(TaskSettings)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "expunge.toml").mkdir()
    with pytest.raises(TerminalError, match=r"expunge\.toml cannot be read: Is a directory"):
        load_settings(tmp_path)
