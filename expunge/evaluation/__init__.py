"""Measures what a model still knows of erased people, and judges it against a reference.

`score` models on splits, `evaluate` the scores, `judge` the evaluation. Only scoring and training
references need torch, which is imported there.
"""

from expunge.evaluation.evaluate import evaluate
from expunge.evaluation.gate import judge
from expunge.evaluation.inputs import EvaluationInput, SplitScores
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
from expunge.evaluation.scores import Scores, score, scores_of_logits
from expunge.evaluation.verdict import Criterion, Outcome, Verdict

__all__ = [
    "REFERENCE_RULES",
    "Criterion",
    "Evaluation",
    "EvaluationError",
    "EvaluationInput",
    "Metric",
    "Outcome",
    "ReferenceKind",
    "RequestKind",
    "Scores",
    "SplitScores",
    "Verdict",
    "WorstSubject",
    "evaluate",
    "judge",
    "reference_kind",
    "reference_margin",
    "sample_rows",
    "score",
    "scores_of_logits",
    "train_references",
]
