"""Offline LiRA: is a row's margin high for a model that never saw it?

Shadow models on half-splits by subject (`shadows.py`) give every row a sample of margins of models
that did not train on its person. The score is (s − μ_out) / σ, with μ_out the row's own mean and σ
pooled over all rows: with some sixteen models a row's own σ is too noisy to divide by (Carlini et
al. 2022, offline attack with a global variance; logit margins as in their section IV-C).

Against the held-out rows the score is a membership statistic like any other, and is measured with
the classes, people and bootstrap of `evaluate`. Its lower tail is over-forgetting: rows known less
well than chance, which gives them away too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from expunge.evaluation.evaluate import RESAMPLES
from expunge.evaluation.membership import Population, TwoSides, comparable
from expunge.evaluation.metric import EvaluationError, Metric, RequestKind, undefined
from expunge.evaluation.roc import area, ones, resampled_rates, true_positive_rates
from expunge.evaluation.scores import Floats, Mask, Scores
from expunge.evaluation.uncertainty import Z95

MIN_OUT = 2
MIN_HELD_OUT_FOR_TPR = 1_000
FPR = 0.01


@dataclass(frozen=True, eq=False)
class ShadowScores:
    """Margins [M, N] of M shadow models on N rows; `seen` [M, N]: trained on the row's person."""

    margin: Floats
    seen: Mask = field(repr=False)

    def __post_init__(self) -> None:
        if self.margin.ndim != 2 or self.margin.shape != self.seen.shape:
            raise EvaluationError(
                f"Shadow margins have the shape {self.margin.shape}, and which models saw a row "
                f"{self.seen.shape}.",
                fix="score every shadow model on the same rows, in one order",
            )

    @classmethod
    def stacked(cls, shadows: Sequence[ShadowScores]) -> ShadowScores:
        """Those of several shadows, scored apart, as one."""
        return cls(
            np.concatenate([each.margin for each in shadows]),
            np.concatenate([each.seen for each in shadows]),
        )

    @property
    def known(self) -> Mask:
        """Rows [N] with two shadow models or more that did not see the person."""
        return np.asarray((~self.seen).sum(axis=0) >= MIN_OUT)

    def out_mean(self) -> Floats:
        """μ_out [N]: mean margin of the models that did not see the row; NaN where none."""
        out = ~self.seen
        count, total = out.sum(axis=0), np.where(out, self.margin, 0.0).sum(axis=0)
        return np.asarray(np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0))


def pooled_sd(sides: Sequence[ShadowScores]) -> float:
    """σ of out-of-sample margins about their row's mean, pooled over the rows of all sides."""
    squares = freedom = 0.0
    for side in sides:
        out = ~side.seen[:, side.known]
        residual = (side.margin - side.out_mean())[:, side.known][out]
        squares += float((residual**2).sum())
        freedom += float(out.sum() - out.shape[1])
    return float(np.sqrt(squares / freedom)) if freedom > 0 else float("nan")


def lira_scores(model: TwoSides, shadows: tuple[ShadowScores, ShadowScores]) -> TwoSides:
    """The model's scores with (s − μ_out) / σ for the margin, of the rows with shadows to judge by.

    Raises:
        EvaluationError: shadows and scores are not of the same rows, or no shadow left a row out.
    """
    if [len(side) for side in model] != [side.margin.shape[1] for side in shadows]:
        raise EvaluationError(
            "The shadow models were scored on other rows than the model.",
            fix="score both on the forget and the held-out split",
        )
    sigma = pooled_sd(shadows)
    if not sigma > 0:
        raise EvaluationError(
            "No two shadow models left a row out, or all give it the same margin.",
            fix="train four shadow models or more, with seeds of their own",
        )
    forget, held_out = (
        _standardised(scores, side, sigma) for scores, side in zip(model, shadows, strict=True)
    )
    return forget, held_out


def _standardised(scores: Scores, shadows: ShadowScores, sigma: float) -> Scores:
    z = (scores.margin - shadows.out_mean())[shadows.known] / sigma
    return replace(scores.take(shadows.known), margin=z)


def offline_lira(
    candidate: TwoSides,
    shadows: tuple[ShadowScores, ShadowScores],
    *,
    retrain: TwoSides | None = None,
    request: RequestKind = "subjects",
    seed: int,
    resamples: int = RESAMPLES,
) -> tuple[Metric, ...]:
    """Offline LiRA of a candidate's (forget, held-out) scores.

    `lira_auc` (forgotten rows score higher), `lira_auc_lower` (they score lower: one less it),
    `lira_auc_two_sided` (they lie farther from the held-out median, either way),
    `lira_auc_retrain_gap`, and `lira_tpr_at_1pct_fpr` with its `…_lower`, both undefined below
    1,000 held-out rows. Rows that no two shadows left out count as `left_out`.
    """
    own = lira_scores(candidate, shadows)
    exact = lira_scores(retrain, shadows) if retrain else None
    lost = len(candidate[0]) - len(own[0])
    upper, apart = (
        area(
            name,
            turn(own),
            retrain=turn(exact) if exact else None,
            request=request,
            seed=seed,
            resamples=resamples,
        )
        for name, turn in (("lira_auc", _as_is), ("lira_auc_two_sided", _from_median))
    )
    upper, apart = (replace(each, left_out=each.left_out + lost) for each in (upper, apart))
    rates = [
        _rate(f"lira_tpr_at_1pct_fpr{tail}", turn(own), seed=seed, resamples=resamples)
        for tail, turn in (("", _as_is), ("_lower", _negated))
    ]
    return (upper, _mirrored(upper), apart, retrain_gap(upper), *rates)


def retrain_gap(auc: Metric) -> Metric:
    """AUC less the exact retrain's on the same rows, from an AUC that has it for reference."""
    name = f"{auc.name}_retrain_gap"
    if auc.undefined or auc.reference is None or auc.reference_kind != "exact_retrain":
        return undefined(name, auc.undefined or "no exact retrain", auc.n)
    gap, se = auc.value - auc.reference, auc.gap_se
    half = Z95 * se
    return replace(auc, name=name, value=gap, se=se, low=gap - half, high=gap + half, reference=0.0)


def _mirrored(auc: Metric) -> Metric:
    """The AUC of the attack that bets on low scores."""
    reference = None if auc.reference is None else 1 - auc.reference
    value, low, high = 1 - auc.value, 1 - auc.high, 1 - auc.low
    name = f"{auc.name}_lower"
    return replace(auc, name=name, value=value, low=low, high=high, reference=reference)


def _as_is(sides: TwoSides) -> TwoSides:
    return sides


def _negated(sides: TwoSides) -> TwoSides:
    forget, held_out = (replace(side, margin=-side.margin) for side in sides)
    return forget, held_out


def _from_median(sides: TwoSides) -> TwoSides:
    """Distance of each score from the held-out median.

    Not from 0: shadows have half the rows, so that a whole model scores above them everywhere.
    """
    centre = float(np.median(sides[1].margin)) if len(sides[1]) else 0.0
    forget, held_out = (replace(side, margin=np.abs(side.margin - centre)) for side in sides)
    return forget, held_out


def _rate(name: str, sides: TwoSides, *, seed: int, resamples: int) -> Metric:
    """TPR at 1 % FPR with a percentile interval by subject; 0.01 is chance."""
    rows: Population = comparable(*sides)
    n = len(rows.forget)
    if rows.empty:
        return undefined(name, "no forget and held-out rows of one class", n)
    if len(rows.held_out) < MIN_HELD_OUT_FOR_TPR:
        why = f"{len(rows.held_out)} held-out rows, {MIN_HELD_OUT_FOR_TPR} needed"
        return undefined(name, why, n)
    fpr = np.array([FPR])
    value = float(true_positive_rates(rows, sides, fpr, *ones(rows))[0, 0])
    drawn = resampled_rates(rows, sides, fpr, resamples=resamples, seed=seed)[0]
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return Metric(
        name=name,
        value=value,
        se=float(np.nanstd(drawn, ddof=1)),
        low=min(value, float(low)),
        high=max(value, float(high)),
        n=n,
        left_out=rows.left_out,
    )
