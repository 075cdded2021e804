"""What a metric should be: the reference, and the models that say which rows are hard.

Exact retraining is the reference where there is one. Else the table below names the estimate that
is valid for a kind of request and a sample size; where it names none, no candidate can be judged
and exact retrain decides (method.md, section 3).

Membership of people never seen is 0.5 by exchangeability: a set of people that no model trained on
is like another such set, held out. For rows drawn at random that needs no more than rows; whole
people differ from each other, so the spread between people must be known, from at least 20 others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from expunge.evaluation.metric import EvaluationError, ReferenceKind, RequestKind
from expunge.evaluation.scores import Floats, score

if TYPE_CHECKING:
    import torch

    from expunge.specs import Recipe
    from expunge.training import Builder, Epoch

Statistic: TypeAlias = Literal["accuracy", "membership"]


@dataclass(frozen=True)
class ReferenceRule:
    """One line of the table: the estimate, and the held-out sample it needs."""

    request: RequestKind
    statistic: Statistic
    kind: ReferenceKind
    min_subjects: int
    min_rows: int
    why: str


REFERENCE_RULES: tuple[ReferenceRule, ...] = (
    ReferenceRule("rows", "accuracy", "class_matched", 0, 100, "held-out rows of the same classes"),
    ReferenceRule("rows", "membership", "half", 0, 50, "random rows rank like held-out ones"),
    ReferenceRule(
        "subjects", "accuracy", "leave_subject_out", 20, 0, "other people, nobody trained on"
    ),
    ReferenceRule(
        "subjects", "membership", "leave_subject_out", 20, 0, "people rank like other people"
    ),
    ReferenceRule("class", "accuracy", "zero", 0, 0, "a class never seen is never named"),
    ReferenceRule("class", "membership", "half", 0, 50, "held-out rows of the class rank alike"),
)


def reference_kind(
    statistic: Statistic,
    request: RequestKind,
    *,
    has_retrain: bool,
    held_out_subjects: int,
    held_out_rows: int,
) -> ReferenceKind | None:
    """The valid reference for a statistic of a request, or None: then exact retrain decides."""
    if has_retrain:
        return "exact_retrain"
    for rule in REFERENCE_RULES:
        if (rule.request, rule.statistic) == (request, statistic):
            enough = held_out_subjects >= rule.min_subjects and held_out_rows >= rule.min_rows
            return rule.kind if enough else None
    return None


def train_references(
    factory: Builder,
    rows: Any,
    recipe: Recipe,
    *,
    models: int,
    epochs: float | None = None,
    seed: int,
    device: str,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> list[torch.nn.Module]:
    """Reference models: the governed model's factory and recipe on role R `rows`, seeds apart.

    `epochs` replaces the recipe's. They are trained on people who are in neither forget set nor
    champion's data nor held-out set, so what they find hard is hard, not unseen.

    Raises:
        EvaluationError: fewer than one model, or no row of role R.
        DivergedError: the recipe diverges on these rows.
    """
    from torch.nn.functional import cross_entropy

    from expunge.training import derived_seed, fit

    if models < 1 or len(rows) == 0:
        raise EvaluationError(
            f"{models} reference models cannot be trained on {len(rows)} rows of role R.",
            fix="give role R people in data/NAME.yaml, and ask for one model or more",
        )
    used = recipe if epochs is None else recipe.model_copy(update={"epochs": epochs})
    trained: list[torch.nn.Module] = []
    for number in range(models):
        own = derived_seed(seed, f"reference {number}")
        model = factory.build(own)
        fit(model, rows, used, cross_entropy, seed=own, device=device, on_epoch=on_epoch)
        trained.append(model.eval())
    return trained


def reference_margin(
    models: Sequence[torch.nn.Module], rows: Any, *, device: str = "cpu"
) -> Floats:
    """Mean margin [N] of the reference models on `rows`; a row below 1 is hard."""
    if not models:
        raise EvaluationError(
            "There is no reference model to score rows with.", fix="train one with role R"
        )
    total = np.zeros(len(rows))
    for model in models:
        total += score(model, rows, device=device).margin
    return total / len(models)
