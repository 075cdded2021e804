"""Shadow models: the governed recipe on half-splits of the people, for LiRA.

The split is by subject: a shadow that trained on one row of a person has not "not seen" the next.
Shadows 2k and 2k+1 divide the people between them, so each person is in exactly half of the
shadows. Every shadow is a function of (network, rows, recipe, seed, number) alone: an orchestrator
trains and scores each where it likes, and `ShadowScores.stacked` puts the scores together.

The pool should hold the forget rows and the held-out rows, so that both are judged by equally many
models. Shadow models are made from people's rows: they are derived models, tracked and purged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import Subset

from expunge.evaluation.lira import ShadowScores
from expunge.evaluation.metric import EvaluationError
from expunge.evaluation.scores import Codes, Mask, score
from expunge.specs import Recipe
from expunge.training import Builder, Loss, derived_seed, fit, keyed_order

MODELS = 32


@dataclass(frozen=True, eq=False)
class Shadow:
    """One shadow model and the people it trained on."""

    number: int
    model: nn.Module = field(repr=False)
    people: Codes = field(repr=False)

    def scores(self, rows: Any, *, device: str = "cpu") -> ShadowScores:
        """Its margins [1, N] on `rows`, and which of them are of people it trained on."""
        margin = score(self.model, rows, device=device).margin
        return ShadowScores(margin[None], np.isin(rows.subject_codes, self.people)[None])


@dataclass(frozen=True, eq=False)
class Shadows:
    """An even number of shadow models, every person in exactly half of them."""

    shadows: tuple[Shadow, ...]
    seed: int

    def __len__(self) -> int:
        return len(self.shadows)

    def scores(self, rows: Any, *, device: str = "cpu") -> ShadowScores:
        """Margins [M, N] of all of them on `rows`, a map-style dataset with `.subject_codes`."""
        return ShadowScores.stacked([each.scores(rows, device=device) for each in self.shadows])


def shadow_split(subject_codes: Codes, number: int, seed: int) -> Mask:
    """Which rows [N] of the pool shadow `number` (from 0) trains on: those of half the people.

    Halves differ by one person at most; 2k and 2k+1 are complements. Row order does not matter.
    """
    people, person = np.unique(subject_codes, return_inverse=True)
    order = keyed_order(len(people), seed, f"shadow pair {number // 2}").numpy()
    first = np.zeros(len(people), dtype=bool)
    first[order[: len(people) // 2]] = True
    return np.asarray(first[person] if number % 2 == 0 else ~first[person])


def train_shadow(
    number: int,
    factory: Builder,
    rows: Any,
    recipe: Recipe,
    *,
    loss: Loss = cross_entropy,
    seed: int,
    device: str,
    epochs: float | None = None,
) -> Shadow:
    """Shadow `number` (from 0) of the pool `rows`; `epochs` replaces the recipe's.

    Raises:
        EvaluationError: fewer than two people.
        DivergedError: the recipe diverges on these rows.
    """
    codes = np.asarray(rows.subject_codes)
    mine = shadow_split(codes, number, seed)
    if number < 0 or not mine.any() or mine.all():
        raise EvaluationError(
            f"Shadow {number} cannot be trained on a half of {len(np.unique(codes))} people.",
            fix="count shadows from 0, and give a pool of two people or more",
        )
    used = recipe if epochs is None else recipe.model_copy(update={"epochs": epochs})
    own = derived_seed(seed, f"shadow {number}")
    model = factory.build(own)
    half = Subset(rows, np.flatnonzero(mine).tolist())
    fit(model, half, used, loss, seed=own, device=device)
    return Shadow(number, model.eval(), np.unique(codes[mine]))


def train_shadows(
    factory: Builder,
    rows: Any,
    recipe: Recipe,
    *,
    models: int = MODELS,
    loss: Loss = cross_entropy,
    seed: int,
    device: str,
    epochs: float | None = None,
    on_shadow: Callable[[int, int], None] | None = None,
) -> Shadows:
    """`models` shadows of the pool `rows`, one after the other; `on_shadow(done, of)` after each.

    Raises:
        EvaluationError: an odd number, fewer than four, or fewer than two people.
    """
    if models < 4 or models % 2:
        raise EvaluationError(
            f"{models} shadow models cannot each leave half of the people out twice or more.",
            fix="ask for an even number, four or more; 32 is usual",
        )
    trained: list[Shadow] = []
    for number in range(models):
        shadow = train_shadow(
            number, factory, rows, recipe, loss=loss, seed=seed, device=device, epochs=epochs
        )
        trained.append(shadow)
        if on_shadow:
            on_shadow(number + 1, models)
    return Shadows(tuple(trained), seed)
