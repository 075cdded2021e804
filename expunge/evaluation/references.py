"""Reference models: they say which rows are hard, having seen neither the request nor the rest.

What a metric should be where there is no exact retrain is in `validity_rules.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from expunge.evaluation.metric import EvaluationError
from expunge.evaluation.scores import Floats, score
from expunge.evaluation.validity_rules import REFERENCE_RULES, Statistic, reference_kind

if TYPE_CHECKING:
    import torch

    from expunge.specs import Recipe
    from expunge.training import Builder, Epoch, Loss

__all__ = [
    "REFERENCE_RULES",
    "Statistic",
    "reference_kind",
    "reference_margin",
    "train_references",
]


def train_references(
    factory: Builder,
    rows: Any,
    recipe: Recipe,
    *,
    models: int,
    epochs: float | None = None,
    loss: Loss | None = None,
    seed: int,
    device: str,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> list[torch.nn.Module]:
    """Reference models: the governed model's factory and recipe on role R `rows`, seeds apart.

    `epochs` replaces the recipe's; `loss` is the model's, cross-entropy unless given. They are
    trained on people who are in neither forget set nor champion's data nor held-out set, so what
    they find hard is hard, not unseen.

    Raises:
        EvaluationError: fewer than one model, or no row of role R.
        DivergedError: the recipe diverges on these rows.
    """
    from expunge.training import LOSSES, derived_seed, fit

    if models < 1 or len(rows) == 0:
        raise EvaluationError(
            f"{models} reference models cannot be trained on {len(rows)} rows of role R.",
            fix="give role R people in data/NAME.yaml, and ask for one model or more",
        )
    used = recipe if epochs is None else recipe.model_copy(update={"epochs": epochs})
    own_loss = loss or LOSSES["cross_entropy"]
    trained: list[torch.nn.Module] = []
    for number in range(models):
        own = derived_seed(seed, f"reference {number}")
        model = factory.build(own)
        fit(model, rows, used, own_loss, seed=own, device=device, on_epoch=on_epoch)
        trained.append(model.eval())
    return trained


def reference_margin(
    models: Sequence[torch.nn.Module], rows: Any, *, device: str = "cpu"
) -> Floats:
    """Mean margin [N] of the reference models on `rows`; by it `hard_rows` are told."""
    if not models:
        raise EvaluationError(
            "There is no reference model to score rows with.", fix="train one with role R"
        )
    total = np.zeros(len(rows))
    for model in models:
        total += score(model, rows, device=device).margin
    return total / len(models)
