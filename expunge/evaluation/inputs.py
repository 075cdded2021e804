"""What an evaluation reads: scores of the same rows under champion, candidate and retrain."""

from __future__ import annotations

from dataclasses import dataclass

from expunge.evaluation.metric import EvaluationError, RequestKind
from expunge.evaluation.scores import Floats, Scores


@dataclass(frozen=True, eq=False)
class SplitScores:
    """Champion, candidate and, where there is one, exact retrain on the same rows of a split.

    `reference_margin` [N]: mean reference score (`reference_margin(models, rows)`); needed on the
    forget and the held-out split, where it says which rows are hard.
    """

    champion: Scores
    candidate: Scores
    retrain: Scores | None = None
    reference_margin: Floats | None = None

    def __post_init__(self) -> None:
        others = [self.candidate] + ([self.retrain] if self.retrain is not None else [])
        margins = self.reference_margin
        if not all(self.champion.same_rows(other) for other in others) or (
            margins is not None and len(margins) != len(self.champion)
        ):
            raise EvaluationError(
                "The scores of champion, candidate and references are not of the same rows.",
                fix="score all models on one split, in one order",
            )


@dataclass(frozen=True, eq=False)
class EvaluationInput:
    """The three splits: forget (erased training rows), retain (a sample), held-out (role E).

    `request`: whole "subjects", random "rows", or a "class"; it decides which reference is valid.
    """

    forget: SplitScores
    retain: SplitScores
    held_out: SplitScores
    request: RequestKind = "subjects"
