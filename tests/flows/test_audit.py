"""The audit flow: every model that has a champion, names only."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from expunge.line import open_line
from expunge.line.bench import NoChampionError
from expunge.line.mock import MockError
from tests.line.conftest import _many, crowd_root, quick
from tests.line.small import RETRAIN, respec

__all__ = ["_many", "crowd_root", "quick"]

POLISH = {"strategy": "fine_tune", "repair": {"epochs": 1, "lr": 0.001}}


def test_the_flow_audits_every_model_that_has_a_champion(
    api: Path, crowd_root: Path, quick: None
) -> None:
    from flows.audit import audit

    with open_line(crowd_root) as line:
        respec(line, ladder=[POLISH, RETRAIN])
        spec = crowd_root / "models/small-mlp.yaml"
        (spec.parent / "other.yaml").write_text(spec.read_text().replace("small-mlp", "other"))
        assert audit(workspace=str(crowd_root)) == {"small-mlp": [1, 2, 3]}
        records = line.ledger.qualifications("small-mlp")
        assert [record.request for record in records] == ["subjects", "rows", "class"]
        assert {len(record.metrics["verdicts"]) for record in records} == {3}
        with pytest.raises(NoChampionError):
            audit("other", str(crowd_root))


def test_a_model_that_cannot_be_audited_fails_the_flow_with_its_own_error(
    api: Path, root: Path
) -> None:
    from flows.audit import audit

    with pytest.raises(MockError, match="needs 600"):
        audit(workspace=str(root))


def test_parameters_are_names_only() -> None:
    from flows.audit import audit

    assert set(inspect.signature(audit.fn).parameters) == {
        "model",
        "workspace",
        "with_retrain",
    }
