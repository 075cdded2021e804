"""What measuring a batch costs beside an exact retrain, on Fashion-MNIST (20,000 training rows).

    EXPUNGE_DATA=... .venv/bin/python -m benchmarks.gate_metrics

The first table is what the gate judges by; the second is what is reported beside it. Reference
models and SPD-GAN's generator are made before and cached, as in a batch. Seconds of one core.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.compare import cell, data
from expunge.evaluation import (
    EvaluationInput,
    SplitScores,
    evaluate,
    judge,
    reference_margin,
    sample_rows,
    score,
)
from expunge.evaluation.blind import blind_classifier
from expunge.evaluation.duplicates import near_duplicates
from expunge.evaluation.probe import probe_scores
from expunge.evaluation.spdgan import Models, fit_spdgan, load, save, unlearning_degree
from expunge.evaluation.spdgan.fitted import Fitted
from expunge.evaluation.spdgan.settings import SpdGanSettings
from expunge.specs import GateSpec

FOLDER = Path("build/bench/fashion")
SEED = 0


def main() -> None:
    """Measure once, print both tables."""
    torch.set_num_threads(1)
    data.ingest("fashion", FOLDER)
    spec, parts = data.model_spec("fashion"), data.splits("fashion", "subjects", SEED, FOLDER)
    cache = cell.Cell("fashion", "subjects", SEED, FOLDER, 0).cache
    champion = cache.fitted("champion", parts.trained, spec.recipe, SEED).model
    retrain = cache.fitted("retrain", parts.retain, spec.recipe, SEED)
    peers = cache.references(parts.reference, SEED)
    timed = _Timed(retrain.seconds)
    sample = parts.retain.select(sample_rows(len(parts.retain), seed=SEED))
    scores = timed(
        "scores of champion and candidate",
        lambda: [
            [score(each, rows, device="cpu") for each in (champion, retrain.model)]
            for rows in (parts.forget, sample, parts.held_out)
        ],
    )
    margins = timed(
        "margins of the reference models",
        lambda: [reference_margin(peers, rows) for rows in (parts.forget, parts.held_out)],
    )
    inputs = EvaluationInput(
        SplitScores(*scores[0], reference_margin=margins[0]),
        SplitScores(*scores[1]),
        SplitScores(*scores[2], reference_margin=margins[1]),
    )
    found = timed("metrics, 1,000 resamples", lambda: evaluate(inputs, seed=SEED))
    timed("verdict", lambda: judge(found, GateSpec(), rung=1, rungs=3, exact=False))
    timed.show("what the gate judges by")
    fitted, models = _generator(parts, peers), Models(champion, retrain.model)
    beside = (parts.forget, parts.held_out)
    timed(
        "unlearning degree and controls",
        lambda: unlearning_degree(fitted, models, *beside, seed=SEED, device="cpu"),
    )
    timed("blind classifier", lambda: blind_classifier(*beside, seed=SEED))
    timed(
        "near duplicates",
        lambda: near_duplicates(parts.forget, parts.retain, parts.held_out, seed=SEED),
    )
    timed(
        "fresh probe",
        lambda: probe_scores(retrain.model, parts.retain, *beside, classes=10, seed=SEED),
    )
    timed.show("what is reported beside it")


class _Timed:
    """Seconds of a core by step, and their share of a retrain's."""

    def __init__(self, retrain: float) -> None:
        self.retrain = retrain
        self.steps: dict[str, float] = {}

    def __call__(self, step: str, call: Callable[[], Any]) -> Any:
        started = time.process_time()
        result = call()
        self.steps[step] = time.process_time() - started
        return result

    def show(self, title: str) -> None:
        """Print the steps since the last table, and begin another."""
        print(f"| {title} | s | of a retrain's {self.retrain:.0f} s |\n|---|---|---|")
        for step, seconds in (*self.steps.items(), ("together", sum(self.steps.values()))):
            print(f"| {step} | {seconds:.2f} | {seconds / self.retrain:.1%} |")
        print()
        self.steps.clear()


def _generator(parts: data.Splits, peers: list[torch.nn.Module]) -> Fitted:
    folder = FOLDER / "generators" / f"all-{SEED}"
    if not folder.exists():
        settings = SpdGanSettings()
        save(
            fit_spdgan(parts.fit, parts.tune, peers, settings=settings, seed=SEED, device="cpu"),
            folder,
        )
    return load(folder)


if __name__ == "__main__":
    main()
