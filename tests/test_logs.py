"""Logs for machines: JSON lines with what is known, and nobody in them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from expunge import logs
from expunge.errors import TerminalError
from expunge.line import open_line
from tests.line.conftest import _trained, root
from tests.line.small import file, people_in, run

__all__ = ["_trained", "root"]  # fixtures


@pytest.fixture
def json_lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Logs as JSON for one test."""
    top = logging.getLogger()
    before = top.handlers
    monkeypatch.setenv("EXPUNGE_LOG_FORMAT", "json")
    assert logs.configure()
    yield
    top.handlers = before
    logging.captureWarnings(capture=False)


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.usefixtures("json_lines")
def test_a_batch_is_told_station_by_station_and_names_nobody(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_line(root) as line:
        people = people_in(line, "T", 2)
        requests = file(line, *people)
        refs = [line.ledger.request(each).subject_ref for each in requests]
        capsys.readouterr()
        report = run(line)
    text = capsys.readouterr().err
    told = lines(text)
    concluded = [each for each in told if each["message"] == "concluded"]
    assert {"stage", "validate", "publish", "unlearn", "evaluate", "gate", "promote"} <= {
        each["station"] for each in concluded
    }
    for each in concluded:
        assert set(each) >= {"time", "level", "logger", "message", "batch_id", "dataset"}
        assert each["batch_id"] == report.batch_id
        assert each["dataset"] == "small"
    assert {each.get("model") for each in concluded if each["station"] == "gate"} == {"small-mlp"}
    for private in (*people, *refs):
        assert private not in text


@pytest.mark.usefixtures("json_lines")
def test_an_error_is_told_without_what_a_library_quotes_of_the_data(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logger = logging.getLogger("expunge.line")
    with logs.about(batch_id="b-1", station="stage", model=None):
        for error in (ValueError("anne@example.org is no number"), TerminalError("No.", fix="Go.")):
            try:
                raise error
            except type(error):
                logger.exception("failed")
    logger.warning("https://me:hunter2@host/ did not answer")
    text = capsys.readouterr().err
    foreign, ours, last = lines(text)
    assert foreign["error"]["type"] == "ValueError"
    assert foreign["error"]["at"].rpartition(":")[0] == __file__
    assert (foreign["batch_id"], foreign["station"]) == ("b-1", "stage")
    assert "model" not in foreign
    assert ours["error"]["next"] == "Go."
    assert "batch_id" not in last
    assert "anne" not in text
    assert "hunter2" not in text


def test_without_the_setting_nothing_is_changed() -> None:
    before = logging.getLogger().handlers[:]
    assert not logs.configure()
    assert logging.getLogger().handlers == before


def test_a_format_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPUNGE_LOG_FORMAT", "xml")
    with pytest.raises(TerminalError, match="log_format"):
        logs.configure()
