"""A typing error is told, with what was probably meant."""

import pytest

from expunge.errors import TerminalError
from expunge.settings import load_settings


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("EXPUNGE_LEGDER_URL", "EXPUNGE_LEDGER_URL"),
        ("EXPUNGE_MLFLOW_TRACKING_URL", "EXPUNGE_MLFLOW_TRACKING_URI"),
        ("EXPUNGE_LEDGER_URL_FIEL", "EXPUNGE_LEDGER_URL_FILE"),
        ("EXPUNGE_TASK_RETRY", "EXPUNGE_TASK_RETRIES"),
    ],
)
def test_an_unknown_variable_is_refused_with_the_closest_name(tmp_path, monkeypatch, name, meant):
    monkeypatch.setenv(name, "hunter2")
    with pytest.raises(TerminalError) as caught:
        load_settings(tmp_path)
    assert f"{name} is no setting of expunge; did you mean {meant}?" in caught.value.what
    assert "hunter2" not in str(caught.value)


def test_an_unknown_variable_that_is_like_none_is_refused_too(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPUNGE_QQQ", "1")
    with pytest.raises(TerminalError, match=r"EXPUNGE_QQQ is no setting of expunge\."):
        load_settings(tmp_path)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("max_bach = 5\n", "max_bach is no setting of expunge; did you mean max_batch?"),
        ("[ledger]\nurll = 'x'\n", "ledger_urll is no setting of expunge; did you mean ledger_url"),
    ],
)
def test_an_unknown_key_of_the_file_is_refused_with_the_closest_name(tmp_path, text, named):
    (tmp_path / "expunge.toml").write_text(text)
    with pytest.raises(TerminalError) as caught:
        load_settings(tmp_path)
    assert named in caught.value.what


def test_what_kubernetes_says_of_a_service_named_expunge_is_no_setting(tmp_path, monkeypatch):
    for name, value in {
        "EXPUNGE_SERVICE_HOST": "10.0.0.11",
        "EXPUNGE_SERVICE_PORT": "9108",
        "EXPUNGE_EXPORTER_SERVICE_PORT_METRICS": "9108",
        "EXPUNGE_EXPORTER_PORT": "tcp://10.0.0.11:9108",
        "EXPUNGE_EXPORTER_PORT_9108_TCP_ADDR": "10.0.0.11",
    }.items():
        monkeypatch.setenv(name, value)
    load_settings(tmp_path)
