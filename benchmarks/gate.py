"""How often the gate lets exact retrains pass, and refuses weak unlearnings, on Fashion-MNIST.

    EXPUNGE_DATA=... .venv/bin/python -m benchmarks.gate [TRIALS]

Each trial erases people who hold 400 of a champion's 6,000 training rows. The exact retrain is
judged as a candidate like any other: the gate does not know what it is, and has no retrain to
compare with. Weak unlearnings are fine-tuning alone, and sparse additive noise with a short repair.
The gate has its default margins, and α whole or of one of three rungs; the held-out rows are those
of role E, or 20,000 of people whom the champion never saw, since it is they that decide whether a
loss within one point can be shown. Trials are resumable.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats
from torch import nn

from benchmarks.compare import data
from benchmarks.compare.trained import Cache
from expunge.dataset import ArrowRows
from expunge.evaluation import (
    Evaluation,
    EvaluationInput,
    SplitScores,
    Verdict,
    evaluate,
    judge,
    reference_margin,
    sample_rows,
    score,
)
from expunge.specs import GateSpec
from expunge.training import derived_seed
from expunge.unlearning import FineTune, RandomK, Repair, TopK, unlearn

FOLDER = Path("build/gate")
DATASET = "fashion-all"
ROWS, FORGOTTEN, TRIALS_A_CHAMPION = 6_000, 400, 6
RUNGS = (1, 3)
MANY = 20_000
RETRAIN = "exact retrain"
OUTCOMES = ("pass", "fail", "inconclusive")
SHORT = Repair(epochs=1.2, lr=1.5e-3)
WEAK = (
    ("fine tune", FineTune(), Repair(epochs=3, lr=1e-3)),
    ("top k 5 % additive", TopK(fraction=0.05, noise="additive"), SHORT),
    ("random k 5 % additive", RandomK(fraction=0.05, noise="additive", scale=2.0), SHORT),
)


@dataclass(frozen=True)
class Trial:
    """Trial `number`: which people are erased from which champion."""

    number: int

    @property
    def champion(self) -> int:
        """The champion that it starts from."""
        return self.number // TRIALS_A_CHAMPION

    @property
    def file(self) -> Path:
        """Where its verdicts are kept."""
        return FOLDER / "verdicts" / f"{self.number:03}.json"


def main(trials: int) -> None:
    """Run what is missing, on all cores, then print the table."""
    data.ingest(DATASET, FOLDER)
    os.environ["OMP_NUM_THREADS"] = "1"
    waiting = [each for each in map(Trial, range(trials)) if not each.file.exists()]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context) as pool:
        # A process for each champion, so that none is trained twice.
        groups = [
            [trial for trial in waiting if trial.champion == number]
            for number in sorted({trial.champion for trial in waiting})
        ]
        for done in as_completed([pool.submit(run_all, group) for group in groups]):
            sys.stderr.write(f"champion {done.result()} done\n")
    show([json.loads(Trial(number).file.read_text()) for number in range(trials)])


def run_all(trials: list[Trial]) -> int:
    """The trials of one champion, whose number is returned."""
    import torch

    torch.set_num_threads(1)
    for trial in trials:
        verdicts = list(_verdicts(trial))
        trial.file.parent.mkdir(parents=True, exist_ok=True)
        aside = trial.file.with_suffix(".part")
        aside.write_text(json.dumps(verdicts))
        aside.replace(trial.file)
    return trials[0].champion


def _verdicts(trial: Trial) -> Iterator[dict[str, Any]]:
    spec = data.model_spec("fashion")
    cache = Cache(FOLDER / "models", spec)
    pool = data.rows(DATASET, "T", FOLDER)
    champion_rows = _people(pool, ROWS, [trial.champion])
    held_out = _never_seen(pool, champion_rows, trial.champion)
    champion = cache.fitted("champion", champion_rows, spec.recipe, trial.champion).model
    peers = cache.references(data.rows(DATASET, "R", FOLDER), 0)
    forget = _people(champion_rows, FORGOTTEN, [trial.number, 1])
    kept = ~np.isin(champion_rows.subject_codes, np.unique(forget.subject_codes))
    splits = forget, champion_rows.select(np.flatnonzero(kept)), held_out
    hard = [reference_margin(peers, side) for side in (forget, held_out)]
    retrain = cache.fitted("retrain", splits[1], spec.recipe, trial.number).model
    yield from _judgements(RETRAIN, splits, (champion, retrain), hard, trial)
    name, strategy, repair = WEAK[trial.number % len(WEAK)]
    made = unlearn(
        champion,
        forget,
        splits[1],
        strategy=strategy,
        repair=repair,
        seed=derived_seed(trial.number, "weak"),
    )
    yield from _judgements(name, splits, (champion, made.model.eval()), hard, trial)


def _never_seen(pool: ArrowRows, champion_rows: ArrowRows, key: int) -> ArrowRows:
    """Rows of role E, then of people of `pool` whom the champion never saw: MANY in all."""
    own = data.rows(DATASET, "E", FOLDER)
    spare = np.flatnonzero(~np.isin(pool.subject_codes, champion_rows.subject_codes))
    drawn = _people(pool.select(spare), MANY - len(own), [key, 2]).picked
    assert drawn is not None
    at = np.concatenate([np.arange(len(own)), len(own) + drawn])
    return replace(own, batches=own.batches + pool.batches, path=None, picked=at)


def _people(rows: ArrowRows, wanted: int, key: list[int]) -> ArrowRows:
    """Rows of people drawn by key until they are at least as many as wanted."""
    people, sizes = np.unique(rows.subject_codes, return_counts=True)
    order = np.random.default_rng([*key, 0x6A]).permutation(len(people))
    enough = int(np.searchsorted(np.cumsum(sizes[order]), wanted)) + 1
    return rows.select(np.flatnonzero(np.isin(rows.subject_codes, people[order[:enough]])))


def _judgements(
    name: str,
    splits: tuple[ArrowRows, ArrowRows, ArrowRows],
    models: tuple[nn.Module, nn.Module],
    hard: list[Any],
    trial: Trial,
) -> Iterator[dict[str, Any]]:
    """One evaluation for each size of the held-out split."""
    forget, retain, held_out = splits
    sample = retain.select(sample_rows(len(retain), seed=trial.number))

    def scored(rows: ArrowRows, margin: Any = None) -> SplitScores:
        before, after = (score(model, rows, device="cpu") for model in models)
        return SplitScores(before, after, reference_margin=margin)

    on_forget, on_retain = scored(forget, hard[0]), scored(sample)
    everyone = scored(held_out, hard[1])
    for size in (len(data.rows(DATASET, "E", FOLDER)), len(held_out)):
        part = np.arange(size)
        some = SplitScores(
            everyone.champion.take(part),
            everyone.candidate.take(part),
            reference_margin=hard[1][part],
        )
        found = evaluate(EvaluationInput(on_forget, on_retain, some), seed=trial.number)
        many = "E" if size < MANY else f"{MANY:,} rows"
        yield {"model": name, "held_out": many, "evaluation": found.to_json()}


def show(trials: list[list[dict[str, Any]]]) -> None:
    """Tables in Markdown: outcomes with Clopper–Pearson bounds, criterion by criterion."""
    every = [verdict for trial in trials for verdict in trial]
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for each in every:
        kind = "exact retrains" if each["model"] == RETRAIN else "weak unlearnings"
        groups.setdefault((each["held_out"], kind), []).append(each)
    heads = "held out | rungs | candidates | n | pass | fail | inconclusive | asked | share, 95 %"
    print(f"| {heads} |")
    print("|---|---|---|---|---|---|---|---|---|")
    for rungs in RUNGS:
        for (held_out, name), group in groups.items():
            print(f"| {held_out} | {rungs} | {name} | {_row(name, _judged(group, rungs))} |")
    print("\n| held out | rungs | candidates | criterion | pass | fail | inconclusive |")
    print("|---|---|---|---|---|---|---|")
    for rungs in RUNGS:
        for (held_out, name), group in groups.items():
            for criterion, counts in _by_criterion(_judged(group, rungs)).items():
                cells = " | ".join(str(counts[outcome]) for outcome in OUTCOMES)
                print(f"| {held_out} | {rungs} | {name} | {criterion} | {cells} |")
    for (held_out, name), group in groups.items():
        print(f"\n{name}, held out {held_out}: {_numbers(group)}")


def _judged(group: list[dict[str, Any]], rungs: int) -> list[Verdict]:
    return [
        judge(
            Evaluation.from_json(each["evaluation"]), GateSpec(), rung=1, rungs=rungs, exact=False
        )
        for each in group
    ]


def _row(name: str, verdicts: list[Verdict]) -> str:
    counts = Counter(verdict.outcome for verdict in verdicts)
    wanted = ("pass",) if name == "exact retrains" else ("fail", "inconclusive")
    good, n = sum(counts[outcome] for outcome in wanted), len(verdicts)
    cells = " | ".join(str(counts[outcome]) for outcome in OUTCOMES)
    said = "passed" if wanted == ("pass",) else "refused"
    return f"{n} | {cells} | {good} {said} | {_clopper_pearson(good, n)}"


def _by_criterion(verdicts: list[Verdict]) -> dict[str, Counter[str]]:
    names = [criterion.name for criterion in verdicts[0].criteria]
    return {
        name: Counter(each.outcome for v in verdicts for each in v.criteria if each.name == name)
        for name in names
    }


def _numbers(group: list[dict[str, Any]]) -> str:
    found = [Evaluation.from_json(each["evaluation"]) for each in group]
    auc = [each.metric("hard_row_auc").value for each in found]
    change = [100 * each.metric("generalisation").value for each in found]
    error = [100 * each.metric("generalisation").se for each in found]
    rows = [each.metric("hard_row_auc").n for each in found]
    return (
        f"hard-row AUC {np.mean(auc):.3f} ± {np.std(auc):.3f} on {min(rows)} to {max(rows)} rows; "
        f"held-out change {np.mean(change):+.2f} ± {np.std(change):.2f} points, its standard error "
        f"{np.mean(error):.2f}"
    )


def _clopper_pearson(good: int, n: int) -> str:
    interval = stats.binomtest(good, n).proportion_ci(0.95, method="exact")
    return f"{good / n:.2f} ({interval.low:.2f} to {interval.high:.2f})"


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 60)
