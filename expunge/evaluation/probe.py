"""Do the frozen features still know the forgotten rows, though the classifier is fresh?

A strategy that re-initialises the classifier keeps features that were trained on the forgotten
rows. So a fresh linear classifier is fitted on the candidate's penultimate features of retain rows,
in closed form (ridge regression on the one-hot classes), and its margins are measured like any
model's: AUC on the rows that the reference models find hard, forget against held-out. The same
probe on the exact retrain says what a model that never saw them gives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from expunge.evaluation.evaluate import RESAMPLES
from expunge.evaluation.membership import TwoSides
from expunge.evaluation.metric import EvaluationError, Metric, RequestKind
from expunge.evaluation.rates import sample_rows
from expunge.evaluation.roc import area
from expunge.evaluation.scores import Codes, Floats, Scores, scores_of_logits
from expunge.training import RowReader, labels, pick_device
from expunge.training.device import reproducible_kernels
from expunge.training.modes import mode

RETAIN_ROWS = 5_000
RIDGE = 1e-3
_SHARPNESS = 10.0


def penultimate(
    model: nn.Module,
    rows: Any,
    *,
    device: str = "cpu",
    layer: str | None = None,
    batch_size: int = 512,
) -> Floats:
    """Features [N, D], float64: the input of `layer`, or of the last parametrised leaf module.

    Anything between features and channels' end (spatial dimensions of a convolutional head) is
    averaged. Read in evaluation mode by a forward hook, one batch in memory at a time.

    Raises:
        EvaluationError: no such layer, or the network ran none.
    """
    at, order = pick_device(device), torch.arange(len(rows))
    model.to(at)
    reader = RowReader(rows, at)
    with mode(model, training=False), torch.no_grad(), reproducible_kernels():
        head = _head(model, reader.read(order[:1])[0], layer)
        caught: list[torch.Tensor] = []
        hook = head.register_forward_pre_hook(lambda _, given: caught.append(_flat(given[0])))
        try:
            for part in torch.split(order, batch_size):
                model(reader.read(part)[0])
        finally:
            hook.remove()
    return np.asarray(torch.cat(caught).numpy())


def _head(model: nn.Module, x: torch.Tensor, layer: str | None) -> nn.Module:
    """The module that reads the features: the named one, or the last that runs."""
    leaves = {
        name: module
        for name, module in model.named_modules()
        if (name == layer if layer else not [*module.children()] and [*module.parameters()])
    }
    ran: list[nn.Module] = []
    hooks = [
        leaf.register_forward_pre_hook(lambda module, _: ran.append(module))
        for leaf in leaves.values()
    ]
    try:
        model(x)
    finally:
        for hook in hooks:
            hook.remove()
    if not ran:
        raise EvaluationError(
            f"The network ran no layer {layer!r}." if layer else "The network ran no layer.",
            fix="name the layer that reads the features, as in `named_modules()`",
        )
    return ran[-1]


def _flat(given: torch.Tensor) -> torch.Tensor:
    spread = given.flatten(2).mean(dim=2) if given.ndim > 2 else given
    return spread.detach().double().cpu()


@dataclass(frozen=True, eq=False)
class Probe:
    """A linear classifier of standardised features: logits [N, C] = (x − mean) / sd · W + b."""

    mean: Floats
    sd: Floats
    weights: Floats
    bias: Floats

    def logits(self, features: Floats) -> Floats:
        """Logits [N, C] of features [N, D]."""
        return np.asarray((features - self.mean) / self.sd @ self.weights + self.bias)


def fit_probe(features: Floats, targets: Codes, classes: int, *, ridge: float = RIDGE) -> Probe:
    """The ridge classifier of features [N, D]; `ridge` is relative to N.

    Outputs regress the one-hot class and lie about [0, 1]; a fixed factor of 10 makes logits of
    them, so that the margin compares the true class with the best of the others.
    """
    mean, spread = features.mean(axis=0), features.std(axis=0)
    sd = np.where(spread > 0, spread, 1.0)
    x = (features - mean) / sd
    y = np.eye(classes)[targets]
    bias = y.mean(axis=0)
    gram = x.T @ x + ridge * len(x) * np.eye(x.shape[1])
    weights = np.linalg.solve(gram, x.T @ (y - bias))
    return Probe(mean, sd, _SHARPNESS * weights, _SHARPNESS * bias)


def probe_scores(
    model: nn.Module,
    retain: Any,
    forget: Any,
    held_out: Any,
    *,
    classes: int,
    seed: int,
    device: str = "cpu",
    layer: str | None = None,
    retain_rows: int = RETAIN_ROWS,
) -> TwoSides:
    """Scores of (forget, held-out) rows under a probe fitted on a sample of retain rows."""
    at = sample_rows(len(retain), seed=seed, size=retain_rows)
    sample = torch.utils.data.Subset(retain, at.tolist())

    def features(rows: Any) -> Floats:
        return penultimate(model, rows, device=device, layer=layer)

    probe = fit_probe(features(sample), labels(retain)[at], classes)
    return _scored(probe, features, forget), _scored(probe, features, held_out)


def _scored(probe: Probe, features: Callable[[Any], Floats], rows: Any) -> Scores:
    return scores_of_logits(probe.logits(features(rows)), labels(rows), rows.subject_codes)


def probe_auc(
    candidate: TwoSides,
    reference_margin: tuple[Floats, Floats],
    *,
    retrain: TwoSides | None = None,
    request: RequestKind = "subjects",
    seed: int,
    resamples: int = RESAMPLES,
) -> Metric:
    """`probe_hard_row_auc` from `probe_scores` of the candidate and, if there is one, the retrain.

    `reference_margin`: the reference models' margins on both sides, which say what is hard.
    """
    return area(
        "probe_hard_row_auc",
        candidate,
        retrain=retrain,
        reference_margin=reference_margin,
        request=request,
        seed=seed,
        resamples=resamples,
    )
