"""The demo's ladder against exact retrain, over seeds: what each rung forgets, keeps and costs.

    python -m benchmarks.strategies [SEEDS]

400 synthetic writers of scikit-learn's digits, 25 training writers erased. A seed draws the
erased writers, the champion, the references and the perturbation anew. Cost is wall time and
gradient-sample passes, both over the exact retrain's in the same run.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from benchmarks.compare.inputs import evaluation_input
from expunge.cli.demo.writers import WRITERS, write_parquet
from expunge.dataset import ArrowRows, Store, stage_ingest, training_rows
from expunge.evaluation import evaluate, train_references
from expunge.specs import ModelSpec, load_dataset_spec, load_model_spec
from expunge.training import Factory, fit, load_factory
from expunge.unlearning import strategy_of, unlearn
from expunge.workspace import reference_folder

ERASED = 25
COLUMNS = ("forget_accuracy", "retain_accuracy", "held_out_accuracy", "auc", "hard_row_auc")


@dataclass(frozen=True)
class Splits:
    forget: ArrowRows
    retain: ArrowRows
    held_out: ArrowRows
    reference: ArrowRows


@dataclass(frozen=True)
class Tried:
    """One model of one seed: metrics by name, passes and seconds."""

    metrics: dict[str, float]
    passes: float
    seconds: float


def main(seeds: int) -> None:
    source = reference_folder()
    spec = load_model_spec(source / "models/digits-cnn.yaml")
    factory = load_factory(spec.factory, source / "models", dict(spec.args))
    with tempfile.TemporaryDirectory() as folder:
        rows = ingest(Path(folder), source)
        runs = [one_seed(spec, factory, rows, seed) for seed in range(seeds)]
    show(runs)


def ingest(folder: Path, source: Path) -> dict[str, ArrowRows]:
    spec = load_dataset_spec(source / "data/digits.yaml")
    write_parquet(folder / "writers.parquet", range(WRITERS))
    stage_ingest(
        spec,
        folder / "writers.parquet",
        mode="replace",
        current=None,
        staging=folder / "shards",
        key=b"a fixed placement key, 32 bytes.",
        ingest=1,
        suppressed=lambda subjects: set(),
    )
    store = Store(folder / "shards", spec)
    return {role: training_rows(store, spec, role, folder / f"{role}.arrow") for role in "TRE"}


def one_seed(
    spec: ModelSpec, factory: Factory, rows: dict[str, ArrowRows], seed: int
) -> dict[str, Tried]:
    splits = draw(rows, seed)
    champion = factory.build(seed)
    fit(champion, rows["T"], spec.recipe, cross_entropy, seed=seed, device="cpu")
    peers = train_references(
        factory, splits.reference, spec.recipe, models=4, seed=seed, device="cpu"
    )
    made: dict[str, tuple[torch.nn.Module, float, float]] = {"champion": (champion, 0.0, 0.0)}
    for rung in reversed(spec.ladder):
        strategy, repair = strategy_of(rung, spec.recipe)
        started = time.perf_counter()
        outcome = unlearn(
            champion,
            splits.forget,
            splits.retain,
            strategy=strategy,
            repair=repair,
            seed=seed,
            factory=factory,
        )
        seconds = time.perf_counter() - started
        made[rung.strategy] = (outcome.model, outcome.edit.cost, seconds)
        sys.stderr.write(f"seed {seed}: {rung.strategy}, {seconds:.1f} s\n")
    retrain = made["exact_retrain"][0]
    return {
        name: Tried(measure(splits, (champion, model, retrain), peers, seed), passes, seconds)
        for name, (model, passes, seconds) in made.items()
    }


def draw(rows: dict[str, ArrowRows], seed: int) -> Splits:
    people = np.unique(rows["T"].subject_codes)
    erased = np.random.default_rng(seed).choice(people, ERASED, replace=False)
    mine = np.isin(rows["T"].subject_codes, erased)
    return Splits(
        forget=rows["T"].select(np.flatnonzero(mine)),
        retain=rows["T"].select(np.flatnonzero(~mine)),
        held_out=rows["E"],
        reference=rows["R"],
    )


def measure(
    splits: Splits,
    models: tuple[torch.nn.Module, torch.nn.Module, torch.nn.Module],
    peers: list[torch.nn.Module],
    seed: int,
) -> dict[str, float]:
    """Metrics of the candidate; `models` are champion, candidate and exact retrain."""
    read = evaluation_input(splits, models, peers, kind="subjects", seed=seed)
    found = evaluate(read, seed=seed)
    return {name: found.metric(name).value for name in (*COLUMNS, "forgetting_rate")}


def show(runs: list[dict[str, Tried]]) -> None:
    print("| model | FA | RA | held-out | AUC | hard-row AUC | FR | passes | wall |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in ("champion", "exact_retrain", "top_k", "random_k"):
        tried = [run[name] for run in runs]
        whole = [run["exact_retrain"] for run in runs]
        cells = [
            spread([each.metrics[column] * 100 for each in tried], 1) for column in COLUMNS[:3]
        ]
        cells += [spread([each.metrics[column] for each in tried], 3) for column in COLUMNS[3:]]
        cells.append(spread([each.metrics["forgetting_rate"] for each in tried], 2))
        ratios = zip(tried, whole, strict=True)
        cells += [spread([a.passes / b.passes for a, b in ratios], 2)]
        ratios = zip(tried, whole, strict=True)
        cells += [spread([a.seconds / b.seconds for a, b in ratios], 2)]
        print(f"| {name.replace('_', ' ')} | {' | '.join(cells)} |")
    print(f"\n{len(runs)} seeds, mean ± standard deviation.")


def spread(values: list[float], digits: int) -> str:
    if len(values) < 2:
        return f"{values[0]:.{digits}f}"
    return f"{mean(values):.{digits}f} ± {stdev(values):.{digits}f}"


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
