"""Secrets come from files too, and are shown nowhere."""

import dataclasses
import traceback

import pytest

from expunge.errors import TerminalError
from expunge.settings import load_settings, redacted

SECRET = "postgresql://me:hunter2@db/ledger"


def test_the_password_of_the_ledger_is_shown_nowhere(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPUNGE_LEDGER_URL", SECRET)
    monkeypatch.setenv("EXPUNGE_MLFLOW_TRACKING_URI", SECRET)
    monkeypatch.setenv("EXPUNGE_MAX_BATCH", "0")
    with pytest.raises(TerminalError) as caught:
        load_settings(tmp_path)
    monkeypatch.setenv("EXPUNGE_MAX_BATCH", "1")
    settings = load_settings(tmp_path)
    shown = [repr(settings), str(settings), str(dataclasses.asdict(settings))]
    shown += [settings.ledger.model_dump_json(), *traceback.format_exception(caught.value)]
    assert "hunter2" not in "".join(shown)
    assert settings.ledger.url.get_secret_value() == SECRET


def test_a_secret_comes_from_the_file_that_its_variable_names(tmp_path, monkeypatch):
    (tmp_path / "url").write_text(f"{SECRET}\n")
    monkeypatch.setenv("EXPUNGE_LEDGER_URL_FILE", str(tmp_path / "url"))
    (tmp_path / "expunge.toml").write_text('ledger_url = "sqlite:///other.db"\n')
    assert load_settings(tmp_path).ledger.url.get_secret_value() == SECRET
    monkeypatch.setenv("EXPUNGE_LEDGER_URL", "sqlite:///other.db")
    with pytest.raises(TerminalError, match="Both EXPUNGE_LEDGER_URL and EXPUNGE_LEDGER_URL_FILE"):
        load_settings(tmp_path)


def test_a_secret_comes_from_a_folder_of_secrets(tmp_path, monkeypatch):
    secrets = tmp_path / "run" / "secrets"
    secrets.mkdir(parents=True)
    (secrets / "expunge_ledger_url").write_text(f"{SECRET}\n")
    (secrets / "another_services_secret").write_text("x")
    monkeypatch.setenv("EXPUNGE_SECRETS_DIR", str(secrets))
    assert load_settings(tmp_path).ledger.url.get_secret_value() == SECRET
    (secrets / "expunge_ledger_uri").write_text(SECRET)
    with pytest.raises(TerminalError, match="did you mean EXPUNGE_LEDGER_URL"):
        load_settings(tmp_path)


@pytest.mark.parametrize("variable", ["EXPUNGE_LEDGER_URL_FILE", "EXPUNGE_SECRETS_DIR"])
def test_a_file_of_secrets_that_is_not_there_is_named(tmp_path, monkeypatch, variable):
    monkeypatch.setenv(variable, str(tmp_path / "absent"))
    with pytest.raises(TerminalError, match="absent cannot be read: No such file") as caught:
        load_settings(tmp_path)
    assert variable in caught.value.fix


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://me:hunter2@db/ledger",
        "could not reach 'https://me:hun/ter2@host:5000/api', hunter2 or not"[:45],
        "https://hunter2@host/path",
        "postgresql://db/ledger?user=me&password=hunter2",
        "s3://bucket?aws_secret_access_key=hunter2&region=eu",
    ],
)
def test_a_url_is_shown_without_its_login(text):
    assert "ter2" not in redacted(text)
    assert "***" in redacted(text)


def test_text_without_a_login_is_shown_as_it_is():
    for text in ("sqlite:////srv/ledger.db", "ask ops@example.org", "https://host:5000/api?page=2"):
        assert redacted(text) == text
