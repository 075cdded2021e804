"""Measures what a model still knows of erased people, and judges it against a reference.

`score` models on splits, `evaluate` the scores, `judge` the evaluation. Only scoring and training
references need torch, which is imported there; so do `shadows`, `relearning` and `probe`, which are
imported from their own modules.
"""

from expunge.evaluation.blind import Blind, blind_classifier
from expunge.evaluation.comparison import (
    Correlation,
    Rates,
    average_gap,
    leak,
    literature_metrics,
    spearman,
    tug_of_war,
)
from expunge.evaluation.divergence import divergence_gap, js_divergence
from expunge.evaluation.duplicates import Duplicates, near_duplicates
from expunge.evaluation.evaluate import evaluate
from expunge.evaluation.gate import judge
from expunge.evaluation.inputs import EvaluationInput, SplitScores
from expunge.evaluation.lira import ShadowScores, lira_scores, offline_lira
from expunge.evaluation.metric import (
    Evaluation,
    EvaluationError,
    Metric,
    ReferenceKind,
    RequestKind,
    WorstSubject,
)
from expunge.evaluation.rates import sample_rows
from expunge.evaluation.references import (
    REFERENCE_RULES,
    reference_kind,
    reference_margin,
    train_references,
)
from expunge.evaluation.roc import Roc, roc_curve
from expunge.evaluation.scores import Scores, score, scores_of_logits
from expunge.evaluation.verdict import Criterion, Outcome, Verdict

__all__ = [
    "REFERENCE_RULES",
    "Blind",
    "Correlation",
    "Criterion",
    "Duplicates",
    "Evaluation",
    "EvaluationError",
    "EvaluationInput",
    "Metric",
    "Outcome",
    "Rates",
    "ReferenceKind",
    "RequestKind",
    "Roc",
    "Scores",
    "ShadowScores",
    "SplitScores",
    "Verdict",
    "WorstSubject",
    "average_gap",
    "blind_classifier",
    "divergence_gap",
    "evaluate",
    "js_divergence",
    "judge",
    "leak",
    "lira_scores",
    "literature_metrics",
    "near_duplicates",
    "offline_lira",
    "reference_kind",
    "reference_margin",
    "roc_curve",
    "sample_rows",
    "score",
    "scores_of_logits",
    "spearman",
    "train_references",
    "tug_of_war",
]
