"""Dashboard and alerts ask only for what the exporter says, and the alerts do what they say."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from expunge.keys import KeyRing
from expunge.line.metrics import metrics_text
from expunge.requests import Ledger

DEPLOY = Path(__file__).parents[2] / "deploy"
ALERTS = DEPLOY / "prometheus" / "alerts.yaml"
DASHBOARD = json.loads((DEPLOY / "grafana" / "expunge.json").read_text())
_NAME = re.compile(r"\bexpunge_[a-z_]+")
_SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names of every series that the exporter can have."""
    folder = tmp_path_factory.mktemp("watching")
    url = f"sqlite:///{folder / 'ledger.db'}"
    Ledger.open(url, KeyRing(folder / "keys")).close()
    families = list(text_string_to_metric_families(metrics_text(url)))
    return {f"{each.name}{suffix}" for each in families for suffix in _SUFFIXES[each.type]}


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    return list(group["rules"])


def dashboard_queries() -> Iterator[str]:
    for panel in DASHBOARD["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["query"]["query"]


def test_every_metric_that_the_dashboard_asks_for_is_exported(exported: set[str]) -> None:
    asked = {name for query in dashboard_queries() for name in _NAME.findall(query)}
    assert asked <= exported
    assert len(asked) >= 12


def test_every_metric_that_an_alert_asks_for_is_exported(exported: set[str]) -> None:
    asked = {name for rule in rules() for name in _NAME.findall(rule["expr"])}
    assert asked <= exported


def test_the_page_names_every_metric_and_no_other(exported: set[str]) -> None:
    page = (DEPLOY.parent / "docs" / "watching.md").read_text()
    table = "\n".join(line for line in page.splitlines() if line.startswith("| `"))
    named = set(_NAME.findall(table)) | {f"{name}_bucket" for name in _NAME.findall(table)}
    assert set(_NAME.findall(table)) <= exported | {"expunge_station_seconds"}
    assert {name for name in exported if not name.endswith(("_sum", "_count"))} <= named


def test_the_dashboard_is_what_grafana_reads() -> None:
    assert DASHBOARD["schemaVersion"] >= 36
    assert {"uid", "title", "time", "refresh"} <= set(DASHBOARD)
    ids, places = [], set()
    for panel in DASHBOARD["panels"]:
        assert panel["type"] in {"stat", "timeseries"}
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["targets"]
        assert panel["title"]
        ids.append(panel["id"])
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"])
                 for y in range(at["y"], at["y"] + at["h"])}  # fmt: skip
        assert not cells & places
        places |= cells
    assert len(ids) == len(set(ids))


def test_every_alert_names_its_severity_and_its_runbook() -> None:
    runbooks = [rule["annotations"]["runbook"] for rule in rules()]
    assert runbooks == [
        f"docs/runbooks/{name}.md"
        for name in (
            "backlog-growing", "deadline-near", "deadline-missed", "batch-failing", "batch-late",
            "gate-failing", "model-in-debt", "model-held", "lock-stuck", "exporter-down",
        )
    ]  # fmt: skip
    assert {rule["labels"]["severity"] for rule in rules()} == {"warning", "critical"}


@pytest.mark.parametrize("words", ["check rules alerts.yaml", "test rules alerts_test.yaml"])
def test_prometheus_takes_the_alerts_and_each_rises_in_its_trouble_and_no_other(
    words: str,
) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool on this machine (Debian: apt-get install prometheus)")
    done = subprocess.run(
        [promtool, *words.split()], cwd=ALERTS.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
