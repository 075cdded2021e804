"""How fast do the forgotten rows come back?

A network that still holds the forgotten rows gives them back after a few steps, one that never saw
them has to learn them. Candidate and exact retrain are tuned on the same tenth of the forget rows,
in the same orders, until the mean of the *other* nine tenths is half way from the retrain's to the
champion's. The ratio of the steps is 1 like retraining, 0 if the candidate is there before it
starts. Every training also lifts rows it has nothing to do with; both networks share that.

`retain_only` needs no forgotten row to train on: go on training on retain rows, as production
would, and see whether the forget rows return by themselves.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from scipy import stats
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import Subset

from expunge.evaluation.levels import worth
from expunge.evaluation.metric import Metric, undefined
from expunge.evaluation.scores import Scores, score, scores_of_outputs
from expunge.evaluation.uncertainty import Z95, dense_codes, paired_se
from expunge.specs import RepairSpec
from expunge.training import Epoch, Loss, derived_seed, fit, keyed_order, labels, predict

Measure: TypeAlias = Literal["level", "margin"]

SHARE = 0.1
MIN_ROWS = 20
TUNING = RepairSpec(epochs=40, lr=5e-4, batch_size=32, warmup=0.0, schedule="constant")
"""A constant rate, so that the cap does not change the way there; 40 passes at most."""


@dataclass(frozen=True)
class Relearning:
    """Steps of candidate and retrain, one for each seed, until half way back; `cap` if never.

    `metric` is the ratio. `bound` says which way the cap cut it: the true ratio is "at most" it
    where the retrain never came back, "at least" where the candidate never did. `start` and
    `target` are values of `measure` on the other rows; `champion` its own.
    """

    metric: Metric
    candidate: tuple[float, ...]
    retrain: tuple[float, ...]
    cap: int
    bound: Literal["at most", "at least"] | None
    measure: Measure
    start: float
    champion: float
    target: float

    @property
    def words(self) -> str:
        """One sentence for the report."""
        if self.metric.undefined:
            tail = ", as if neither had seen them" if self.candidate else ""
            return f"The relearn ratio cannot be had: {self.metric.undefined}{tail}."
        bound = f"{self.bound} " if self.bound else ""
        return (
            f"The forgotten rows come back in {bound}{self.metric.value:.2f} times the exact "
            f"retrain's steps (1 is like retraining, 0 is never forgotten)."
        )

    def to_json(self) -> dict[str, Any]:
        """The fields by name."""
        return asdict(self) | {"metric": self.metric.to_json(), "words": self.words}


def relearn_ratio(
    champion: nn.Module,
    candidate: nn.Module,
    retrain: nn.Module,
    forget: Any,
    *,
    seeds: Sequence[int] = (0, 1, 2),
    tuning: RepairSpec = TUNING,
    share: float = SHARE,
    measure: Measure = "level",
    loss: Loss = cross_entropy,
    device: str = "cpu",
) -> Relearning:
    """The relearn ratio on `forget`, a dataset of (x, y) with `.subject_codes`.

    The tenth is one keyed sample, the same for every model, seed and strategy. `measure` is the
    level (accuracy, or minus the mean absolute error), or the mean margin. Random rows do not teach
    each other: there a network that never saw the others does not bring them back at all, and a
    candidate that does within the cap remembers. The networks given are left as they are.
    """
    order = keyed_order(len(forget), 0, "relearning sample").numpy()
    size = max(1, round(share * len(forget)))
    sample, others = (Subset(forget, part.tolist()) for part in (order[:size], order[size:]))
    course = _Course(sample, others, tuning, measure, loss, device)
    if len(forget) < MIN_ROWS:
        return _without(f"{len(forget)} forget rows, {MIN_ROWS} needed", course)
    start, best = course.value(retrain), course.value(champion)
    if not best > start:
        return _without("the champion knows the rows no better than the retrain", course)
    target = (start + best) / 2
    mine, theirs = (
        tuple(course.steps(model, target, seed) for seed in seeds) for model in (candidate, retrain)
    )
    metric, bound = _ratio(mine, theirs, course.cap, len(others))
    return Relearning(metric, mine, theirs, course.cap, bound, measure, start, best, target)


def retain_only(
    candidate: nn.Module,
    retain: Any,
    forget: Any,
    *,
    steps: int,
    retrain: nn.Module | None = None,
    tuning: RepairSpec = TUNING,
    loss: Loss = cross_entropy,
    seed: int,
    device: str = "cpu",
) -> Metric:
    """`retain_only_return`: forget accuracy after `steps` steps on retain rows, less before.

    Of real labels: by how much the mean absolute error on the forget rows falls.

    The reference is the same of the exact retrain, compared row by row; errors by subject.
    """
    if not (len(forget) and len(retain)):
        return undefined("retain_only_return", "a split has no rows")
    epochs = steps / _steps(1, len(retain), tuning.batch_size)
    used = tuning.model_copy(update={"epochs": epochs})

    def change(model: nn.Module) -> tuple[np.ndarray, Scores]:
        before, tuned = score(model, forget, device=device), copy.deepcopy(model)
        own = derived_seed(seed, "retain only")
        fit(tuned, retain, used, loss, seed=own, device=device)
        return worth(score(tuned, forget, device=device)) - worth(before), before

    mine, before = change(candidate)
    theirs = change(retrain)[0] if retrain is not None else None
    value, se = float(mine.mean()), paired_se(mine, before.subjects)
    gap = math.nan if theirs is None else paired_se(mine - theirs, before.subjects)
    return Metric(
        name="retain_only_return",
        value=value,
        se=se,
        low=value - Z95 * se,
        high=value + Z95 * se,
        n=len(before),
        reference=None if theirs is None else float(theirs.mean()),
        reference_kind=None if theirs is None else "exact_retrain",
        gap_se=gap,
        degrees=dense_codes(before.subjects)[1] - 1,
    )


@dataclass(frozen=True)
class _Course:
    """What every network is tuned on, and on which rows it is read after each pass."""

    sample: Any
    others: Any
    tuning: RepairSpec
    measure: Measure
    loss: Loss
    device: str

    @property
    def cap(self) -> int:
        return _steps(self.tuning.epochs, len(self.sample), self.tuning.batch_size)

    def value(self, model: nn.Module) -> float:
        outputs = predict(model, self.others, device=self.device).numpy()
        nobody = np.zeros(len(outputs), dtype=np.int64)
        found = scores_of_outputs(outputs, labels(self.others), nobody)
        return float((worth(found) if self.measure == "level" else found.margin).mean())

    def steps(self, model: nn.Module, target: float, seed: int) -> float:
        """Steps until the others reach the target, interpolated in a pass; the cap if never."""
        tuned = copy.deepcopy(model)
        values = [self.value(tuned)]

        def reached(_: Epoch) -> bool:
            values.append(self.value(tuned))
            return values[-1] >= target

        if values[0] >= target:
            return 0.0
        own = derived_seed(seed, "relearning")
        at = self.device
        fit(tuned, self.sample, self.tuning, self.loss, seed=own, device=at, stop=reached)
        if values[-1] < target:
            return float(self.cap)
        passed = (target - values[-2]) / (values[-1] - values[-2])
        return _steps(1, len(self.sample), self.tuning.batch_size) * (len(values) - 2 + passed)


def _steps(epochs: float, rows: int, batch_size: int) -> int:
    return max(1, round(epochs * -(-rows // batch_size)))


def _ratio(
    mine: tuple[float, ...], theirs: tuple[float, ...], cap: int, n: int
) -> tuple[Metric, Literal["at most", "at least"] | None]:
    """Mean of the seeds' ratios with Student's interval over them."""
    never, ever = max(mine) >= cap, max(theirs) >= cap
    if never and ever:
        return undefined("relearn_ratio", f"neither came back within {cap} steps", n), None
    ratios = np.array(mine) / np.array(theirs)
    value, count = float(ratios.mean()), len(ratios)
    se = float(ratios.std(ddof=1)) / math.sqrt(count) if count > 1 else math.nan
    half = float(stats.t.isf(0.025, count - 1)) * se if count > 1 else math.nan
    metric = Metric(
        name="relearn_ratio",
        value=value,
        se=se,
        low=max(0.0, value - half),
        high=value + half,
        n=n,
        reference=1.0,
        reference_kind="exact_retrain",
        gap_se=se,
        degrees=count - 1,
    )
    return metric, "at least" if never else "at most" if ever else None


def _without(why: str, course: _Course) -> Relearning:
    nan, none = math.nan, undefined("relearn_ratio", why, len(course.others))
    return Relearning(none, (), (), course.cap, None, course.measure, nan, nan, nan)
