"""Can forgotten and held-out rows be told apart without any model?

Membership metrics compare forgotten rows with held-out rows and lay every difference to the model.
That holds only if the two are alike to begin with. So a classifier that sees the inputs alone is
set on them, class-matched and cross-fitted by subject; where it succeeds, a membership AUC measures
the people, not the memory (the blind baseline of Das et al. 2024, "Blind baselines beat membership
inference attacks"). The rule: `distribution_differs` if its AUC is above 0.55 and more than 2.75 of
its standard errors above 0.5. Membership metrics are then invalid, and the report says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from expunge.evaluation.membership import comparable
from expunge.evaluation.metric import Metric, undefined
from expunge.evaluation.rates import sample_rows
from expunge.evaluation.roc import area
from expunge.evaluation.scores import Codes, Floats, Scores
from expunge.evaluation.uncertainty import dense_codes

DIFFERS_ABOVE = 0.55
# The bootstrap leaves out what fitting the folds adds, 20–40 % of its error: 95 % with that.
CERTAIN = 2.75
PEOPLE = 20
ROWS = 2_000
WIDTH = 256
FOLDS = 5


@dataclass(frozen=True)
class Blind:
    """The blind classifier's AUC, and whether it says that the two sides differ."""

    metric: Metric
    distribution_differs: bool

    @property
    def words(self) -> str:
        """One sentence for the report."""
        metric = self.metric
        if metric.undefined:
            return (
                f"Whether forgotten and held-out rows are alike cannot be told: {metric.undefined}."
            )
        found = (
            f"A classifier on the inputs alone tells forgotten from held-out rows with AUC "
            f"{metric.value:.3f} ({metric.low:.3f} to {metric.high:.3f})"
        )
        if self.distribution_differs:
            return f"{found}: they differ before any model, and membership metrics are invalid."
        return f"{found}: no difference that would make membership metrics invalid."

    def to_json(self) -> dict[str, Any]:
        """The metric, the verdict, the sentence and the rule."""
        return {
            "metric": self.metric.to_json(),
            "distribution_differs": self.distribution_differs,
            "words": self.words,
            "rule": f"AUC > {DIFFERS_ABOVE}, and more than {CERTAIN} standard errors above 0.5",
        }


def blind_classifier(
    forget: Any, held_out: Any, *, seed: int, rows: int = ROWS, folds: int = FOLDS
) -> Blind:
    """Set a classifier on the inputs of (forget, held-out) datasets of (x, y) with subject codes.

    At most `rows` a side are read, a keyed sample, and at most 256 numbers of each are kept. Two
    classifiers (logistic regression; small boosted trees) vote by rank. Undefined with fewer than
    20 people on a side: what is particular to a few people is no difference of the two sides.
    """
    sides = [
        _Side.read(each, sample_rows(len(each), seed=seed, size=rows), seed)
        for each in (forget, held_out)
    ]
    given = comparable(sides[0].scores(), sides[1].scores())
    if given.empty:
        return Blind(undefined("blind_auc", "no forget and held-out rows of one class"), False)
    f = sides[0].take(given.forget, given.forget_labels)
    h = sides[1].take(given.held_out, given.held_out_labels)
    people = min(dense_codes(side.subjects)[1] for side in (f, h))
    if people < PEOPLE:
        lack = f"{people} people on a side, {PEOPLE} needed to tell a trait of the side from theirs"
        return Blind(undefined("blind_auc", lack, len(f.labels)), False)
    votes = _cross_fitted(f, h, min(folds, people), seed)
    metric = area("blind_auc", (f.scores(votes[0]), h.scores(votes[1])), seed=seed, resamples=500)
    differs = metric.value > DIFFERS_ABOVE and metric.value - CERTAIN * metric.se > 0.5
    return Blind(metric, bool(differs))


@dataclass(frozen=True, eq=False)
class _Side:
    """Inputs [N, D] of some rows; labels, or the strata of real ones; subject codes."""

    inputs: Floats
    labels: NDArray[Any]
    subjects: Codes

    @classmethod
    def read(cls, rows: Any, at: Codes, seed: int) -> _Side:
        from expunge.training import labels

        return cls(sketch(rows, at, seed=seed), labels(rows)[at], rows.subject_codes[at])

    def take(self, at: Codes, strata: Codes) -> _Side:
        return _Side(self.inputs[at], strata, self.subjects[at])

    def scores(self, votes: Floats | None = None) -> Scores:
        """The votes in the place of a model's margins."""
        margin = np.zeros(len(self.labels)) if votes is None else votes
        nothing = np.zeros(len(margin))
        return Scores(nothing, margin, nothing, self.labels, self.subjects)


def read_inputs(rows: Any, at: Codes, *, chunk: int = 512) -> Any:
    """Flattened inputs, float64 [≤ chunk, width], of the rows `at`, one chunk after the other."""
    import torch

    from expunge.training import RowReader

    reader = RowReader(rows)
    for part in torch.split(torch.as_tensor(at, dtype=torch.int64), chunk):
        if len(part):
            yield reader.read(part)[0].flatten(1).double().numpy()


def sketch(rows: Any, at: Codes, *, seed: int, width: int = WIDTH) -> Floats:
    """Inputs [N, ≤ width], wider ones as a count sketch: random signed sums of distinct numbers.

    Distances and linear functions survive it nearly (Weinberger et al. 2009), and its matrix has
    one entry an input.
    """
    parts: list[Floats] = []
    projection: Any = None
    for block in read_inputs(rows, at):
        if block.shape[1] > width and projection is None:
            projection = _projection(block.shape[1], width, seed)
        parts.append(block if projection is None else np.asarray(block @ projection))
    return np.concatenate(parts) if parts else np.zeros((0, 0))


def _projection(inputs: int, width: int, seed: int) -> Any:
    rng = np.random.default_rng([seed, 0x5C])
    bucket = rng.permutation(inputs) % width
    sign = rng.choice([-1.0, 1.0], inputs)
    return sparse.csr_array((sign, (np.arange(inputs), bucket)), shape=(inputs, width))


def _cross_fitted(f: _Side, h: _Side, folds: int, seed: int) -> tuple[Floats, Floats]:
    """Votes of both sides' rows by classifiers that saw nobody of the row's fold."""
    x = np.concatenate([f.inputs, h.inputs])
    member = np.r_[np.ones(len(f.labels)), np.zeros(len(h.labels))]
    labels = np.r_[f.labels, h.labels]
    fold = _folds(f.subjects, h.subjects, folds, seed)
    votes: Floats = np.zeros(len(x))
    for number in range(folds):
        test = fold == number
        if len(np.unique(member[~test])) == 2:
            votes[test] = _vote(x[~test], member[~test], labels[~test], x[test], seed)
    return votes[: len(f.labels)], votes[len(f.labels) :]


def _folds(forget: Codes, held_out: Codes, folds: int, seed: int) -> Codes:
    """A fold for each row of both sides: people dealt out side by side, each into one fold."""
    rng = np.random.default_rng([seed, 0xF0])
    fold_of: dict[int, int] = {}
    for side in (forget, held_out):
        for place, person in enumerate(rng.permutation(np.unique(side)).tolist()):
            fold_of.setdefault(person, place % folds)
    return np.array([fold_of[person] for person in np.r_[forget, held_out].tolist()])


def _vote(x: Floats, member: Floats, labels: Codes, asked: Floats, seed: int) -> Floats:
    """Mean rank in (0, 1] of the asked rows under the two classifiers, within their fold.

    Ranks, since two folds' classifiers need not have one scale.
    """
    from scipy.stats import rankdata
    from sklearn.ensemble import GradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    weights = _balance(member, labels)
    scaler = StandardScaler().fit(x)
    linear = LogisticRegression(C=0.01, max_iter=200)
    linear.fit(scaler.transform(x), member, sample_weight=weights)
    # Not the histogram kind: with row weights it takes longer to bin than to fit.
    trees = GradientBoostingClassifier(
        n_estimators=40, max_depth=3, subsample=0.5, max_features="sqrt", random_state=0
    )
    trees.fit(x, member, sample_weight=weights)
    decisions = linear.decision_function(scaler.transform(asked)), trees.decision_function(asked)
    return np.asarray(sum(rankdata(each) for each in decisions) / (2 * len(asked)))


def _balance(member: Floats, labels: Codes) -> Floats:
    """Row weights with which both sides have the forget side's classes, and weigh the same."""
    weights = np.ones(len(member))
    for label in np.unique(labels):
        mine, theirs = (labels == label) & (member == 1), (labels == label) & (member == 0)
        weights[theirs] = mine.sum() / max(1, theirs.sum())
        if not theirs.any():
            weights[mine] = 0.0
    return np.asarray(weights * len(weights) / max(math.ulp(1.0), weights.sum()))
