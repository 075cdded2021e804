"""One cell: every strategy on one request of one dataset with one seed, measured and written."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from benchmarks.compare.data import Splits, model_spec, rows, splits
from benchmarks.compare.measure import Bench
from benchmarks.compare.trained import Cache, Trained
from expunge.dataset import ArrowRows
from expunge.evaluation.lira import ShadowScores
from expunge.evaluation.spdgan import Fitted, SpdGanSettings, fit_spdgan
from expunge.evaluation.spdgan import load as load_spdgan
from expunge.evaluation.spdgan import save as save_spdgan
from expunge.evaluation.spdgan.store import RECORD
from expunge.specs import ModelSpec, Rung
from expunge.training import DivergedError, derived_seed
from expunge.unlearning import strategy_of, unlearn


@dataclass(frozen=True)
class Cell:
    """What is compared; `folder` holds the dataset's rows, models and results."""

    dataset: str
    request: str
    seed: int
    folder: Path
    shadows: int

    @property
    def name(self) -> str:
        """File name of its result."""
        return f"{self.request}-{self.seed}"

    @property
    def file(self) -> Path:
        """Its result, under a digest of the spec: a changed spec is measured anew."""
        spec = model_spec(self.dataset).model_dump_json() + str(self.shadows)
        digest = hashlib.sha256(spec.encode()).hexdigest()[:12]
        return self.folder / "cells" / f"{self.name}-{digest}.json"

    @property
    def cache(self) -> Cache:
        """Networks that cells of this dataset share."""
        return Cache(self.folder / "models", model_spec(self.dataset))


@dataclass(frozen=True)
class Row:
    """One model: metrics by name, gradient-sample passes, seconds; or why it has none."""

    model: str
    metrics: dict[str, float]
    passes: float
    seconds: float
    failed: str | None = None


def run(cell: Cell) -> Path:
    """Measure all models of a cell, unless an earlier run did; the file with the result."""
    if cell.file.exists():
        return cell.file
    torch.set_num_threads(1)
    spec = model_spec(cell.dataset)
    parts = splits(cell.dataset, cell.request, cell.seed, cell.folder)
    started = time.process_time()
    bench, costs = _bench(cell, spec, parts)
    found = [_measured(bench, name, trained) for name, trained in costs.items()]
    found += [_measured(bench, name, made) for name, made in _candidates(cell, spec, bench)]
    result = {
        "dataset": cell.dataset,
        "request": cell.request,
        "seed": cell.seed,
        "forget_rows": len(parts.forget),
        "retain_rows": len(parts.retain),
        "held_out_rows": len(parts.held_out),
        "generator": asdict(bench.generator.calibration),
        "rows": [asdict(row) for row in found],
        "seconds": time.process_time() - started,
    }
    cell.file.parent.mkdir(parents=True, exist_ok=True)
    aside = cell.file.with_suffix(".part")
    aside.write_text(json.dumps(result, indent=1, default=str))
    aside.replace(cell.file)
    return cell.file


def label(rung: Rung, ladder: tuple[Rung, ...]) -> str:
    """The strategy's name, with what tells it from others of the same name in the ladder."""
    name = rung.strategy.replace("_", " ")
    if sum(other.strategy == rung.strategy for other in ladder) == 1:
        return name
    settings = rung.model_dump()
    words = [f"{100 * settings['fraction']:g} %"] if "fraction" in settings else []
    words += [{"variance_preserving": "VP"}.get(settings["noise"], settings["noise"])]
    words += [f"s={settings['scale']:g}"]
    return f"{name} {' '.join(words)}"


def _bench(cell: Cell, spec: ModelSpec, parts: Splits) -> tuple[Bench, dict[str, Trained]]:
    cache, seed = cell.cache, cell.seed
    champion = cache.fitted("champion", parts.trained, spec.recipe, seed)
    retrain = cache.fitted("retrain", parts.retain, spec.recipe, seed)
    second = cache.fitted("second retrain", parts.retain, spec.recipe, seed)
    peers = cache.references(parts.reference, seed)
    bench = Bench(
        splits=parts,
        champion=champion.model,
        retrain=retrain.model,
        second=second.model,
        peers=peers,
        generator=_generator(cell, parts, peers),
        shadows=_shadows(cell, parts),
        seed=seed,
    )
    free = Trained(champion.model, 0.0, 0.0)
    return bench, {"champion": free, "exact retrain": retrain, "second retrain": second}


def _generator(cell: Cell, parts: Splits, peers: list[torch.nn.Module]) -> Fitted:
    """G of this dataset and seed; for a speaker pair, of the pair, in either order."""
    speaker, *pair = cell.request.split("-")
    scope = "-".join([speaker, *sorted(pair)]) if speaker == "speaker" else "all"
    folder = cell.folder / "generators" / f"{scope}-{cell.seed}"
    if not (folder / RECORD).exists():
        fitted = fit_spdgan(
            parts.fit, parts.tune, peers, settings=SpdGanSettings(), seed=cell.seed, device="cpu"
        )
        save_spdgan(fitted, folder)
    return load_spdgan(folder)


def pool(dataset: str, folder: Path) -> ArrowRows:
    """Rows that shadow models draw their halves from: everyone who is judged by them."""
    return rows(dataset, "TE" if dataset != "spoken" else "T", folder)


def train_shadow(dataset: str, folder: Path, number: int) -> int:
    """Train shadow model `number`, which is returned, unless an earlier run did."""
    torch.set_num_threads(1)
    Cell(dataset, "", 0, folder, 0).cache.shadow(pool(dataset, folder), number)
    return number


def _shadows(cell: Cell, parts: Splits) -> tuple[ShadowScores, ShadowScores] | None:
    if not cell.shadows:
        return None
    models = [cell.cache.shadow(pool(cell.dataset, cell.folder), n) for n in range(cell.shadows)]
    forget, held_out = (
        ShadowScores.stacked([each.scores(side) for each in models])
        for side in (parts.forget, parts.held_out)
    )
    return forget, held_out


def _candidates(cell: Cell, spec: ModelSpec, bench: Bench) -> Iterator[tuple[str, Trained | str]]:
    for rung in spec.ladder[:-1]:
        name = label(rung, spec.ladder)
        strategy, repair = strategy_of(rung, spec.recipe)
        started = time.process_time()
        try:
            outcome = unlearn(
                bench.champion,
                bench.splits.forget,
                bench.splits.retain,
                strategy=strategy,
                repair=repair,
                seed=derived_seed(cell.seed, f"{cell.name} {name}"),
                factory=cell.cache.factory,
            )
        except DivergedError as error:
            yield name, error.what
            continue
        seconds = time.process_time() - started
        yield name, Trained(outcome.model.eval(), outcome.edit.cost, seconds)
        sys.stderr.write(f"{cell.dataset} {cell.name}: {name}, {seconds:.1f} s\n")


def _measured(bench: Bench, name: str, made: Trained | str) -> Row:
    if isinstance(made, str):
        return Row(name, {}, 0.0, 0.0, failed=made)
    return Row(name, bench.measure(made.model), made.passes, made.seconds)
