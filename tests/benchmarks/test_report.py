"""The page that the benchmark writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.compare.report import grouped, spread, write_report


def _row(model: str, auc: float, passes: float, **more: float) -> dict[str, Any]:
    metrics = {
        "forget_accuracy": 0.9,
        "held_out_accuracy": 0.85,
        "hard_row_auc": auc,
        "generalisation": 0.0,
    }
    metrics |= {"lira_auc": auc, "auc": auc} | more
    return {"model": model, "metrics": metrics, "passes": passes, "seconds": 1.0, "failed": None}


def _result(seed: int, *, request: str = "random-5") -> dict[str, Any]:
    lost = {"model": "ssd", "metrics": {}, "passes": 0.0, "seconds": 0.0, "failed": "diverged"}
    return {
        "dataset": "writers",
        "request": request,
        "seed": seed,
        "forget_rows": 100,
        "retain_rows": 1900,
        "held_out_rows": 500,
        "generator": {"not_resolvable": None},
        "rows": [
            _row("champion", 0.8 + seed / 100, 0.0),
            _row("exact retrain", 0.5, 1000.0),
            _row("second retrain", 0.52, 1000.0),
            _row("fast retrain", 0.51, 200.0),
            _row("top k", 0.7, 80.0, held_out_accuracy=0.80),
            lost,
        ],
    }


def test_cost_is_over_the_cheapest_retrain_that_is_as_good_as_the_best() -> None:
    (group,) = grouped([_result(0), _result(1)])
    assert group.baseline == "fast retrain"
    assert group.ratios("top k", "passes") == [0.4, 0.4]
    worse = _result(0)
    worse["rows"][3]["metrics"]["held_out_accuracy"] = 0.84
    (group,) = grouped([worse])
    assert group.baseline == "exact retrain"
    assert group.ratios("top k", "passes") == [0.08]


def test_all_speaker_pairs_are_one_group() -> None:
    pairs = [_result(seed, request=f"speaker-{seed}-{seed + 1}") for seed in range(3)]
    (group,) = grouped(pairs)
    assert group.request == "speaker"
    assert group.values("top k", "hard_row_auc") == [0.7] * 3


def test_the_page_tells_spread_failures_and_what_was_skipped(tmp_path: Path) -> None:
    write_report([_result(0), _result(1)], {"fashion": "fashion_mnist.npz is not here"}, tmp_path)
    page = (tmp_path / "benchmarks.md").read_text()
    assert "| champion | 90.0 ± 0.0 | 0.805 ± 0.007 |" in page
    assert "ssd failed in 2 of 2 runs: diverged" in page
    assert "Skipped: fashion_mnist.npz is not here." in page
    assert (tmp_path / "benchmarks/writers-random-5.png").stat().st_size > 10_000


def test_a_number_without_a_spread_is_shown_alone_and_none_as_a_dash() -> None:
    assert spread([], 2) == "–"
    assert spread([0.5], 2) == "0.50"
    assert spread([1.0, 2.0], 1) == "1.5 ± 0.7"
