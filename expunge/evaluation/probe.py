"""Do the frozen features still know the forgotten rows, though the classifier is fresh?

A strategy that re-initialises the classifier keeps features that were trained on the forgotten
rows. So a fresh linear classifier is fitted on the candidate's penultimate features of retain rows,
in closed form (ridge regression on the one-hot classes, or on the real label), and its margins are
measured like any model's: AUC on the rows that the reference models find hard, forget against
held-out. The same probe on the exact retrain says what a model that never saw them gives.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from expunge.evaluation.evaluate import RESAMPLES, hard_row_aucs
from expunge.evaluation.inputs import EvaluationInput, SplitScores
from expunge.evaluation.membership import TwoSides
from expunge.evaluation.metric import EvaluationError, Metric, RequestKind, undefined
from expunge.evaluation.rates import sample_rows
from expunge.evaluation.roc import area
from expunge.evaluation.scores import Codes, Floats, Scores, scores_of_outputs
from expunge.training import RowReader, labels, pick_device
from expunge.training.device import reproducible_kernels
from expunge.training.modes import mode

NAME = "probe_hard_row_auc"
RETAIN_ROWS = 5_000
WIDEST = 4_096
RIDGE = 1e-3
_SHARPNESS = 10.0
_CHUNK = 8_192


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
        hook = head.register_forward_pre_hook(lambda _, given: caught.append(_flat(given)))
        try:
            for part in torch.split(order, batch_size):
                model(reader.read(part)[0])
        finally:
            hook.remove()
    features = torch.cat(caught)
    if len(features) != len(order):
        raise EvaluationError(
            f"The layer that reads the features gave {len(features)} of them for {len(order)} "
            "rows.",
            fix="name a layer that runs once for each input",
        )
    return np.asarray(features.numpy())


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


def _flat(given: tuple[Any, ...]) -> torch.Tensor:
    if not given or not isinstance(given[0], torch.Tensor) or given[0].ndim < 2:
        raise EvaluationError(
            "The layer that reads the features is not given one vector for each row.",
            fix="name the layer that reads the features, as in `named_modules()`",
        )
    x = given[0].flatten(2).mean(dim=2) if given[0].ndim > 2 else given[0]
    return x.detach().double().cpu()


@dataclass(frozen=True, eq=False)
class Probe:
    """A linear model of standardised features: outputs [N, C] = (x − mean) / sd · W + b."""

    mean: Floats
    sd: Floats
    weights: Floats
    bias: Floats

    def outputs(self, features: Floats) -> Floats:
        """Logits [N, C], or predicted values [N, 1], of features [N, D]."""
        return np.asarray((features - self.mean) / self.sd @ self.weights + self.bias)


def fit_probe(
    features: Floats, targets: NDArray[Any], classes: int | None, *, ridge: float = RIDGE
) -> Probe:
    """The ridge classifier of features [N, D], or the ridge regression; `ridge` is relative to N.

    Outputs regress the one-hot class and lie about [0, 1]; a fixed factor of 10 makes logits of
    them, so that the margin compares the true class with the best of the others. Without
    `classes` the targets are real labels, and outputs are in their units.

    Raises:
        EvaluationError: the features are not numbers.
    """
    mean, spread = features.mean(axis=0), features.std(axis=0)
    sd = np.where(spread > 0, spread, 1.0)
    x = (features - mean) / sd
    y = targets[:, None] if classes is None else np.eye(classes)[targets]
    bias = y.mean(axis=0)
    gram = x.T @ x + ridge * len(x) * np.eye(x.shape[1])
    try:
        weights = np.linalg.solve(gram, x.T @ (y - bias))
    except np.linalg.LinAlgError:
        raise EvaluationError(
            "No probe can be fitted on the features of the retain rows.",
            fix="train or unlearn the model again: its features are not numbers",
        ) from None
    factor = 1.0 if classes is None else _SHARPNESS
    return Probe(mean, sd, factor * weights, factor * bias)


def probe_scores(
    model: nn.Module,
    retain: Any,
    forget: Any,
    held_out: Any,
    *,
    classes: int | None,
    seed: int,
    device: str = "cpu",
    layer: str | None = None,
    retain_rows: int = RETAIN_ROWS,
) -> TwoSides:
    """Scores of (forget, held-out) rows under a probe fitted on a sample of retain rows.

    Raises:
        EvaluationError: no features are to be had, they are wider than 4,096, or not numbers.
    """
    at = sample_rows(len(retain), seed=seed, size=retain_rows)

    def features(rows: Any, at: Codes) -> Floats:
        part = torch.utils.data.Subset(rows, at.tolist())
        return penultimate(model, part, device=device, layer=layer)

    sample = features(retain, at)
    if sample.shape[1] > WIDEST:
        raise EvaluationError(
            f"The features are {sample.shape[1]} numbers wide, more than {WIDEST}.",
            fix="name a layer whose input is narrower",
        )
    probe = fit_probe(sample, labels(retain)[at], classes)

    def scored(rows: Any) -> Scores:
        steps = (np.arange(s, min(s + _CHUNK, len(rows))) for s in range(0, len(rows), _CHUNK))
        outputs = [probe.outputs(features(rows, step)) for step in steps]
        found = np.concatenate([np.zeros((0, classes or 1)), *outputs])
        return scores_of_outputs(found, labels(rows), rows.subject_codes)

    return scored(forget), scored(held_out)


def probe_metrics(
    models: tuple[nn.Module, nn.Module],
    rows: tuple[Any, Any, Any],
    reference_margin: tuple[Floats, Floats],
    *,
    classes: int | None,
    request: RequestKind = "subjects",
    seed: int,
    device: str = "cpu",
    resamples: int = RESAMPLES,
) -> tuple[Metric, Metric]:
    """`probe_hard_row_auc` of the candidate, and `…_before` of the champion.

    `models`: champion and candidate. `rows`: retain, forget and held-out split. Undefined, with the
    reason, where the network's features cannot be had.
    """
    try:
        champion, candidate = (
            probe_scores(model, *rows, classes=classes, seed=seed, device=device)
            for model in models
        )
    except EvaluationError as error:
        why = error.what.rstrip(".")
        return undefined(NAME, why), undefined(f"{NAME}_before", why)
    forget, held_out = (
        SplitScores(champion[side], candidate[side], reference_margin=reference_margin[side])
        for side in (0, 1)
    )
    # One bootstrap for both; the retain split is not read.
    found = hard_row_aucs(
        EvaluationInput(forget, held_out, held_out, request), seed=seed, resamples=resamples
    )
    after, before = (
        replace(each, name=name) for each, name in zip(found, (NAME, f"{NAME}_before"), strict=True)
    )
    return after, before


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
        NAME,
        candidate,
        retrain=retrain,
        reference_margin=reference_margin,
        request=request,
        seed=seed,
        resamples=resamples,
    )
