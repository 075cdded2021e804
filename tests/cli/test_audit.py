"""`expunge audit`, and the edit budget in `expunge status`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from expunge.line import open_line
from tests.cli.conftest import Expunge
from tests.line.conftest import _many, crowd_root, quick
from tests.line.small import RETRAIN, respec

__all__ = ["_many", "crowd_root", "quick"]

SHUFFLE = {
    "strategy": "random_k",
    "fraction": 0.5,
    "noise": "reinit",
    "repair": {"epochs": 2, "lr": 0.01, "batch_size": 64},
}


@pytest.fixture
def governed(crowd_root: Path, quick: None) -> Iterator[Expunge]:
    """A workspace with a champion and a ladder of two rungs; workers work in this process."""
    with open_line(crowd_root) as line:
        respec(line, ladder=[SHUFFLE, RETRAIN], budget={"edits": 2, "held_out_loss": 0.05})
    yield Expunge(crowd_root)


def test_audit_prints_its_json_contract_and_nothing_else(governed: Expunge) -> None:
    told = governed.json("audit", "small-mlp", "--requests", "subjects", "--draws", "2")
    assert set(told) == {
        *("model", "version", "dataset", "dataset_ordinal", "rows", "draws", "with_retrain"),
        *("records", "skipped", "seconds"),
    }
    assert (told["model"], told["version"], told["dataset_ordinal"]) == ("small-mlp", "1", 1)
    assert (told["rows"], told["draws"], told["skipped"]) == (300, 2, [])
    (record,) = told["records"]
    assert set(record) == {
        *("id", "model", "version", "dataset", "dataset_ordinal", "strategy", "settings"),
        *("request", "metrics", "outcome", "created_at"),
    }
    assert (record["id"], record["strategy"], record["request"]) == (1, "random_k", "subjects")
    assert record["outcome"] in {"pass", "fail", "inconclusive"}
    assert len(record["metrics"]["verdicts"]) == 2
    for name in ("forgetting_rate_v", "auc", "hard_row_auc", "generalisation", "cost"):
        assert set(record["metrics"]["metrics"][name]) == {
            *("mean", "sd", "values", "reference", "undefined"),
        }


def test_audit_shows_a_table_for_each_kind_in_80_columns(governed: Expunge) -> None:
    shown = governed("audit", "small-mlp", "--draws", "1")
    assert shown.exit_code == 0, shown.output
    for kind in ("subjects", "rows", "class"):
        assert f"\n{kind}" in shown.stdout
    tables = [line for line in shown.stdout.splitlines() if "  random_k  " in line]
    assert len(tables) == 3
    assert max(map(len, tables)) <= 80


def test_audit_refuses_too_few_rows_and_an_unknown_kind_before_it_starts(
    governed: Expunge,
) -> None:
    assert governed("audit", "small-mlp", "--rows", "299").exit_code == 2
    assert governed("audit", "small-mlp", "--requests", "people").exit_code == 2
    refused = governed("audit", "small-mlp", "--rows", "900")
    assert refused.exit_code == 1
    assert "needs 1800" in refused.stderr
    assert refused.stdout == ""


def test_status_tells_what_is_spent_of_the_edit_budget(governed: Expunge) -> None:
    (model,) = governed.json("status")["models"]
    assert model["budget"] == {
        "edits": {"spent": 0, "of": 2},
        "held_out_loss": {"spent": 0, "of": 0.05},
        "hard_row_auc": {"spent": 0, "of": None},
    }
    shown = governed("status").stdout
    assert "edit budget" in shown
    assert "0 of 0.05" in shown
