"""The page's numbers in DVC's own forms: `dvc metrics diff` and `dvc plots show` read them."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.compare.report import Group, distances, grouped

METRICS = ("forget_accuracy", "held_out_accuracy", "hard_row_auc", "lira_auc", "forgetting_rate")
COLUMNS = ("dataset", "request", "model", "cost", "distance")


def write_tables(results: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """Write `benchmarks.json`, means by dataset, request and model, and `benchmarks.csv`."""
    groups = grouped(results)
    means: dict[str, dict[str, Any]] = {}
    for group in groups:
        means.setdefault(group.dataset, {})[group.request] = _means(group)
    (folder / "benchmarks.json").write_text(json.dumps(means, indent=1) + "\n")
    with (folder / "benchmarks.csv").open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for group in groups:
            table.writerows(_points(group))


def _means(group: Group) -> dict[str, dict[str, float]]:
    return {
        model: {
            name: round(fmean(values), 4)
            for name in METRICS
            if (values := group.values(model, name))
        }
        for model in group.models
    }


def _points(group: Group) -> list[tuple[object, ...]]:
    """Cost, and distance to the exact retrain by the gate's statistic, of each model."""
    return [
        (group.dataset, group.request, model, round(fmean(cost), 4), round(fmean(apart), 4))
        for model in group.models
        if (apart := distances(group, model)) and (cost := group.ratios(model, "passes"))
    ]
