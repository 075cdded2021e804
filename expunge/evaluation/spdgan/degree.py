"""The unlearning degree: what the candidate gets wrong on perturbed forget rows, and champion not.

UD(o, u) = A(o; G(D_f)) − A(u; G(D_f))          −1 … 1, 0 for the champion itself
UD_cal = UD − the same on G(H_f)                 H_f: held-out rows with the forget set's classes
nUD = UD_cal(u) / UD_cal(*)                      1 like retraining; > 1.2 is damage

These forms are ours (method.md, section 3). Beside each UD stand its controls: the same on rows
that nobody trained on, and with plain sign noise of the same size in place of G.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import nn

from expunge.evaluation.levels import level
from expunge.evaluation.metric import EvaluationError, Metric, undefined
from expunge.evaluation.spdgan.change import Sides
from expunge.evaluation.spdgan.change_metrics import change_metric, normalised
from expunge.evaluation.spdgan.fitted import Fitted
from expunge.evaluation.spdgan.noise import sign_noise
from expunge.evaluation.spdgan.notes import notes_on
from expunge.evaluation.spdgan.perturbed import (
    Perturbation,
    by_generator,
    check_shape,
    scores_under,
)

NAMES = (
    "ud",
    "ud_control",
    "ud_calibrated",
    "nud",
    "ud_sign_noise",
    "ud_sign_noise_calibrated",
)
NO_ACCURACY = (
    "SPD-GAN is not measured: it asks where models begin to name the wrong class, and real labels "
    "have none"
)
_ALONE = "no held-out rows of the forget rows' classes"


@dataclass(frozen=True, eq=False)
class Models:
    """Champion o, candidate u, and the exact retrain * where there is one."""

    champion: nn.Module = field(repr=False)
    candidate: nn.Module = field(repr=False)
    retrain: nn.Module | None = field(default=None, repr=False)

    def listed(self) -> list[nn.Module]:
        """Champion, candidate, and retrain if any."""
        return [self.champion, self.candidate] + ([self.retrain] if self.retrain else [])


@dataclass(frozen=True)
class Degree:
    """The metrics of `NAMES`, the accuracies behind UD, and remarks that a reader needs.

    `accuracies`: of champion (`…_before`), candidate and retrain (`…_retrain`) on G(D_f), called
    `perturbed_forget_accuracy…`, and on G(H_f) unweighted, `perturbed_held_out_accuracy…`.
    """

    metrics: tuple[Metric, ...]
    accuracies: tuple[Metric, ...] = ()
    notes: tuple[str, ...] = ()

    def metric(self, name: str) -> Metric:
        """The metric or accuracy called `name`. Raises EvaluationError where there is none."""
        found = {each.name: each for each in (*self.metrics, *self.accuracies)}
        if name not in found:
            raise EvaluationError(
                f"There is no metric {name!r} of an unlearning degree.",
                fix=f"use one of {', '.join(found)}",
            )
        return found[name]

    def to_json(self) -> dict[str, Any]:
        """A JSON object without any subject."""
        return {
            "metrics": [each.to_json() for each in self.metrics],
            "accuracies": [each.to_json() for each in self.accuracies],
            "notes": list(self.notes),
        }


def unlearning_degree(
    fitted: Fitted, models: Models, forget: Any, held_out: Any, *, seed: int, device: str
) -> Degree:
    """Measure UD and its controls on `forget` rows and `held_out` rows of role E.

    `seed` decides the sign noise alone. Errors are by subject, the two sides independent. What
    cannot be had is undefined, with the reason: all of it where ε is not resolvable.

    Raises:
        EvaluationError: rows of another shape than G was fitted on, or outputs that are NaN.
    """
    why = fitted.calibration.not_resolvable
    if why is not None or not len(forget):
        why = f"SPD-GAN is not resolvable: {why}" if why else "no rows"
        return Degree(tuple(undefined(name, why, len(forget)) for name in NAMES))
    check_shape(fitted.generator, forget)
    check_shape(fitted.generator, held_out)
    generator = fitted.generator_on(device)

    def under(on_forget: Perturbation, on_held_out: Perturbation) -> Sides:
        listed = models.listed()
        return Sides(
            scores_under(on_forget, listed, forget, device=device),
            scores_under(on_held_out, listed, held_out, device=device),
        )

    marked = under(by_generator(generator), by_generator(generator))
    noisy = under(
        sign_noise(generator, seed=seed, split="forget"),
        sign_noise(generator, seed=seed, split="held-out"),
    )
    metrics = (change_metric("ud", marked.all_forget()), *_calibrated(marked), *_noise(noisy))
    return Degree(metrics, _accuracies(marked), tuple(notes_on(metrics, marked, noisy)))


def no_degree(forget_rows: int) -> Degree:
    """The metrics of `NAMES` where labels are real numbers: none, and why."""
    return Degree(tuple(undefined(name, NO_ACCURACY, forget_rows) for name in NAMES))


def _calibrated(sides: Sides) -> tuple[Metric, Metric, Metric]:
    matched = sides.matched()
    if matched is None:
        n = len(sides.forget[0])
        control, calibrated, ratio = (undefined(name, _ALONE, n) for name in NAMES[1:4])
        return control, calibrated, ratio
    difference = matched[0].minus(matched[1])
    control = change_metric("ud_control", matched[1])
    return control, change_metric("ud_calibrated", difference), normalised(difference)


def _noise(sides: Sides) -> tuple[Metric, Metric]:
    plain, matched = change_metric("ud_sign_noise", sides.all_forget()), sides.matched()
    name = "ud_sign_noise_calibrated"
    if matched is None:
        return plain, undefined(name, _ALONE, len(sides.forget[0]))
    return plain, change_metric(name, matched[0].minus(matched[1]))


def _accuracies(sides: Sides) -> tuple[Metric, ...]:
    ends = ("_before", "", "_retrain")
    return tuple(
        level(f"perturbed_{side}_accuracy{end}", scores)
        for side, known in (("forget", sides.forget), ("held_out", sides.held_out))
        for end, scores in zip(ends, known, strict=False)
    )
