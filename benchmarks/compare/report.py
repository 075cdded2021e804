"""docs/benchmarks.md and its figures, from the results of the cells."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np

from expunge.evaluation.comparison import spearman

EXACT = ("exact retrain", "fast retrain")
TITLES = {
    "writers": "Digits by 400 synthetic writers",
    "fashion": "Fashion-MNIST, synthetic subjects",
    "spoken": "Spoken digits, six real people",
    "digits": "scikit-learn's digits",
}
REQUESTS = {
    "random-1": "1 % of the training rows, at random",
    "random-5": "5 % of the training rows, at random",
    "subjects": "whole subjects with 5 % of the training rows",
    "class": "one class",
    "speaker": "one speaker of five, another held out (all ordered pairs)",
}


@dataclass(frozen=True)
class Column:
    """One column: heading, metric, factor, decimals."""

    heading: str
    metric: str
    factor: float = 1.0
    digits: int = 3


MEMORY = (
    Column("FA", "forget_accuracy", 100, 1),
    Column("AUC", "auc"),
    Column("hard-row AUC", "hard_row_auc"),
    Column("LiRA", "lira_auc"),
    Column("FR", "forgetting_rate", 1, 2),
    Column("nUD", "nud", 1, 2),
    Column("JS_f − JS_t", "js_gap"),
    Column("relearn", "relearn_ratio", 1, 2),
)
PRICE = (
    Column("RA", "retain_accuracy", 100, 1),
    Column("TA", "held_out_accuracy", 100, 1),
    Column("GEN", "generalisation", 100, 1),
    Column("MRR", "memory_retention_rate"),
    Column("avg gap", "average_gap"),
    Column("ToW", "tug_of_war"),
)
READING = Path(__file__).with_name("reading.md")
LEVELS = ("champion", "second retrain")
DAMAGE = 0.01  # of held-out accuracy: the gate's default margin
FAMILIES = {
    "perturbation": ("top k", "random k", "bottom k", "global perturbation"),
    "retrain": ("exact retrain", "fast retrain"),
    "fine-tune": ("fine tune",),
}
RANKED = ("auc", "hard_row_auc", "forget_accuracy", "forgetting_rate", "nud", "ud", "js_gap")


@dataclass(frozen=True)
class Group:
    """All results of one dataset and kind of request, over seeds and, of speakers, pairs."""

    dataset: str
    request: str
    results: tuple[Mapping[str, Any], ...]

    @property
    def models(self) -> list[str]:
        """Names of the models, in the order in which they were measured."""
        return [row["model"] for row in self.results[0]["rows"]]

    def values(self, model: str, metric: str) -> list[float]:
        """A metric of a model, one number for each result that has it."""
        found = [row["metrics"].get(metric) for row in self._rows(model)]
        return [float(value) for value in found if _is_number(value)]

    def failures(self, model: str) -> list[str]:
        """Why a model could not be made, for each result where it could not."""
        return [row["failed"] for row in self._rows(model) if row["failed"]]

    def ratios(self, model: str, cost: str) -> list[float]:
        """Passes or seconds over those of the baseline, in the same result."""
        baseline = self.baseline
        return [
            mine[cost] / theirs[cost]
            for mine, theirs in zip(self._rows(model), self._rows(baseline), strict=True)
            if not mine["failed"] and theirs[cost]
        ]

    @property
    def baseline(self) -> str:
        """The cheapest retrain whose held-out accuracy is within 0.5 points of the best one's."""
        accuracy = {
            name: fmean(self.values(name, "held_out_accuracy") or [0.0])
            for name in EXACT
            if name in self.models
        }
        good = [name for name, value in accuracy.items() if value >= max(accuracy.values()) - 0.005]
        return min(good, key=lambda name: fmean(row["passes"] for row in self._rows(name)))

    def _rows(self, model: str) -> list[Mapping[str, Any]]:
        return [row for each in self.results for row in each["rows"] if row["model"] == model]


def write_report(
    results: Sequence[Mapping[str, Any]], absent: Mapping[str, str], folder: Path
) -> None:
    """Write `benchmarks.md` and `benchmarks/*.png` under `folder`."""
    pictures = folder / "benchmarks"
    pictures.mkdir(parents=True, exist_ok=True)
    text = [_preamble(results), READING.read_text()]
    for dataset, why in absent.items():
        text.append(f"## {TITLES[dataset]}\n\nSkipped: {why}.\n")
    for group in grouped(results):
        text.append("\n".join(_section(group, pictures)))
    text.append("\n".join(_ranking(results)))
    (folder / "benchmarks.md").write_text("\n".join(text))
    (pictures / "results.json").write_text(json.dumps(_summary(results), indent=1) + "\n")


def grouped(results: Iterable[Mapping[str, Any]]) -> list[Group]:
    """Results by dataset and kind of request; all speaker pairs are one group."""
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for each in results:
        kind = "speaker" if each["request"].startswith("speaker") else each["request"]
        found.setdefault((each["dataset"], kind), []).append(each)
    return [Group(*key, tuple(group)) for key, group in found.items()]


def _preamble(results: Sequence[Mapping[str, Any]]) -> str:
    seeds = sorted({each["seed"] for each in results})
    return f"""# Every strategy against exact retraining

`make bench` writes this page. It rests on {len(results)} cells, seeds
{", ".join(map(str, seeds))}; each section says how many runs it has. Numbers are mean ± standard
deviation over seeds (spoken digits: over ordered pairs of speakers as well). A seed draws the
champion, the retrains, the forgotten rows and every perturbation anew. FA, RA, TA: accuracy in per
cent on forgotten, retained and held-out rows; GEN in points, for an erased class on the others.
Cost is over the cheapest retrain within 0.5 points of the best retrain's held-out accuracy, named
in each section; time is that of a core in the same runs, which is wall time where nothing else
runs. No setting was tuned to a dataset.

What to look for: a model that forgot stands where the two exact retrains stand, in every column.
"""


def _section(group: Group, pictures: Path) -> Iterator[str]:
    sizes = group.results[0]
    yield f"## {TITLES[group.dataset]}: {REQUESTS[group.request]}\n"
    yield (
        f"{sizes['forget_rows']:,} rows forgotten, {sizes['retain_rows']:,} retained, "
        f"{sizes['held_out_rows']:,} held out; {_runs(group)}. "
        f"Cost is over: {group.baseline}. {_generator(group)}\n"
    )
    yield from _table(group, MEMORY)
    yield ""
    yield from _table(group, PRICE, cost=True)
    for model in group.models:
        if why := group.failures(model):
            yield f"\n{model} failed in {len(why)} of {len(group.results)} runs: {why[0]}"
    if picture := _picture(group, pictures):
        yield f"\n![Forgetting against cost]({picture})\n"
    yield ""


def _runs(group: Group) -> str:
    count = len(group.results)
    return f"{count} run{'s' * (count != 1)}"


def _generator(group: Group) -> str:
    reasons = [each["generator"]["not_resolvable"] for each in group.results]
    lost = [reason for reason in reasons if reason]
    if not lost:
        return "SPD-GAN was resolvable in all."
    return f"SPD-GAN was not resolvable in {len(lost)} of {len(reasons)}: {lost[0]}"


def _table(group: Group, columns: Sequence[Column], *, cost: bool = False) -> Iterator[str]:
    headings = [column.heading for column in columns] + (["cost", "time"] if cost else [])
    yield f"| model | {' | '.join(headings)} |"
    yield f"|---|{'---|' * len(headings)}"
    for model in group.models:
        cells = [
            spread([column.factor * v for v in group.values(model, column.metric)], column.digits)
            for column in columns
        ]
        if cost:
            cells += [spread(group.ratios(model, each), 2) for each in ("passes", "seconds")]
        yield f"| {model} | {' | '.join(cells)} |"


def spread(values: Sequence[float], digits: int) -> str:
    """Mean ± standard deviation; the number alone where there is one."""
    if not values:
        return "–"
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return f"{fmean(values):.{digits}f} ± {stdev(values):.{digits}f}"


def _ranking(results: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Spearman's correlation with LiRA over the models of a dataset, all requests together."""
    yield "## Which metric ranks models as LiRA does\n"
    yield "Spearman's ρ over models, each with its mean over seeds, with a bootstrap interval.\n"
    groups = grouped(results)
    yield f"| metric | {' | '.join(f'{g.dataset} {g.request}' for g in groups)} |"
    yield f"|---|{'---|' * len(groups)}"
    for metric in RANKED:
        cells = [_agreement(group, metric) for group in groups]
        yield f"| {metric.replace('_', ' ')} | {' | '.join(cells)} |"
    yield ""


def _agreement(group: Group, metric: str) -> str:
    pairs = [
        (fmean(mine), fmean(theirs))
        for model in group.models
        if (mine := group.values(model, metric)) and (theirs := group.values(model, "lira_auc"))
    ]
    if len(pairs) < 4:
        return "–"
    x, y = np.array(pairs).T
    found = spearman(x, y, seed=0)
    if found.undefined:
        return "–"
    return f"{found.rho:+.2f} ({found.low:+.2f} to {found.high:+.2f})"


def _picture(group: Group, pictures: Path) -> str | None:
    """Distance to the exact retrain by the gate's statistic, against cost."""
    from expunge.lineage.plots import CostPoint, Level, forgetting_against_cost, to_png

    apart = {model: distances(group, model) for model in group.models}
    if not apart["champion"]:
        return None
    points = [
        CostPoint(
            strategy=model,
            cost=fmean(cost),
            distance=fmean(apart[model]),
            cost_sd=_sd(cost),
            distance_sd=_sd(apart[model]),
            family=_family(model),
            damaged=fmean(group.values(model, "generalisation")) < -DAMAGE,
        )
        for model in group.models
        if model not in (*LEVELS, "exact retrain")
        and apart[model]
        and (cost := group.ratios(model, "passes"))
    ]
    champion, retrain = (Level(fmean(apart[each]), _sd(apart[each])) for each in LEVELS)
    figure = forgetting_against_cost(
        points,
        champion=champion,
        retrain=retrain,
        distance="|hard-row AUC − the exact retrain's|",
        title=f"{TITLES[group.dataset]}: {REQUESTS[group.request]}",
    )
    name = f"{group.dataset}-{group.request}.png"
    (pictures / name).write_bytes(to_png(figure))
    return f"benchmarks/{name}"


def distances(group: Group, model: str) -> list[float]:
    """|hard-row AUC − the exact retrain's|, one number for each result."""
    mine, theirs = (group.values(each, "hard_row_auc") for each in (model, "exact retrain"))
    if len(mine) != len(theirs):
        return []
    return [abs(a - b) for a, b in zip(mine, theirs, strict=True)]


def _family(model: str) -> str:
    for family, words in FAMILIES.items():
        if any(model.startswith(word) for word in words):
            return family
    return "literature"


def _summary(results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Every number of the page for who wants to compute with it."""
    return [
        {
            "dataset": group.dataset,
            "request": group.request,
            "model": model,
            "metrics": {
                name: group.values(model, name)
                for name in sorted({*group.results[0]["rows"][0]["metrics"]})
            },
            "passes": group.ratios(model, "passes"),
            "seconds": group.ratios(model, "seconds"),
        }
        for group in grouped(results)
        for model in group.models
    ]


def _sd(values: Sequence[float]) -> float:
    return stdev(values) if len(values) > 1 else 0.0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
