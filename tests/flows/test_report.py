"""The report of a batch as an artifact of its flow run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from expunge.line import open_line
from expunge.line.reporting import logged_run
from tests.flows.processes import Job, environment, rows, run


@pytest.mark.slow
def test_a_batch_leaves_one_artifact_that_leads_to_its_report_and_names_nobody(
    api: Path, filed: Path, people: tuple[str, ...], tmp_path: Path
) -> None:
    ran = run(Job(filed, tmp_path / "run", environment()))
    assert (ran.exitcode, ran.error) == (0, None)
    ((kind, data, description),) = rows(
        api, "select type, data, description from artifact where key = 'report-small'"
    )
    with open_line(filed) as line:
        logged = logged_run(line, ran.batch_id or "")
        requests = [request.id for request in line.ledger.requests()]
    text = json.loads(data)
    assert kind == "markdown"
    assert description == f"Batch {ran.batch_id} of small"
    assert "- small-mlp: version 2, retrained from scratch, passed the gate" in text
    assert f"MLflow run `{logged}`" in text
    assert "/report.html" in text
    assert not [each for each in (*people, *requests) if each in text]
