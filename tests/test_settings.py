from pathlib import Path

import pytest

from expunge.errors import TerminalError
from expunge.settings import load_settings


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch):
    import os

    for name in [name for name in os.environ if name.startswith("EXPUNGE_")]:
        monkeypatch.delenv(name)


def test_the_defaults_need_no_server(tmp_path):
    settings = load_settings(tmp_path)
    assert settings.ledger_url.get_secret_value() == f"sqlite:///{tmp_path}/.expunge/ledger.db"
    assert settings.mlflow_tracking_uri == f"sqlite:///{tmp_path}/.expunge/mlflow.db"
    assert settings.mlflow_artifacts == f"file://{tmp_path}/.expunge/mlartifacts"
    assert settings.keys == tmp_path / ".expunge" / "keys"
    assert settings.git_remote is None


def test_the_environment_comes_before_the_file_and_the_file_before_defaults(tmp_path, monkeypatch):
    (tmp_path / "expunge.toml").write_text('max_batch = 7\nlease_seconds = 5\ngit_remote = "up"\n')
    monkeypatch.setenv("EXPUNGE_MAX_BATCH", "9")
    settings = load_settings(tmp_path)
    assert (settings.max_batch, settings.lease_seconds, settings.git_remote) == (9, 5.0, "up")


def test_two_workspaces_do_not_share_a_file(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    (tmp_path / "a" / "expunge.toml").write_text("max_batch = 7\n")
    assert load_settings(tmp_path / "a").max_batch == 7
    assert load_settings(tmp_path / "b").max_batch == 10_000


def test_relative_folders_are_below_the_workspace_wherever_one_stands(tmp_path, monkeypatch):
    (tmp_path / "expunge.toml").write_text('keys = "secret/keys"\n')
    monkeypatch.setenv("EXPUNGE_STATE", "/elsewhere")
    monkeypatch.chdir("/")
    settings = load_settings(tmp_path)
    assert settings.keys == tmp_path / "secret" / "keys"
    assert settings.state == Path("/elsewhere")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("max_batch = 0\n", "max_batch"),
        ('max_batch = "many"\n', "max_batch"),
        ("lease_seconds = 0\n", "lease_seconds"),
        ("max_bach = 5\n", "max_bach"),
        ("max_batch = \n", "not TOML"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(tmp_path, text, named):
    (tmp_path / "expunge.toml").write_text(text)
    with pytest.raises(TerminalError, match=named):
        load_settings(tmp_path)


def test_the_password_of_the_ledger_is_shown_nowhere(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPUNGE_LEDGER_URL", "postgresql://me:hunter2@db/ledger")
    monkeypatch.setenv("EXPUNGE_MAX_BATCH", "0")
    with pytest.raises(TerminalError) as caught:
        load_settings(tmp_path)
    monkeypatch.setenv("EXPUNGE_MAX_BATCH", "1")
    settings = load_settings(tmp_path)
    assert "hunter2" not in repr(settings) + str(settings) + str(caught.value)
    assert settings.ledger_url.get_secret_value().count("hunter2") == 1
