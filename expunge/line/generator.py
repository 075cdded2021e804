"""SPD-GAN's generator for a governed model: fitted on role F, calibrated on role V.

It depends on no request and is used again by later batches until someone in the roles that it was
made from is erased, or the data drift away from those it was fitted on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from expunge.line.context import Line
from expunge.line.derived import derived, digest_of
from expunge.line.references import reference_digest
from expunge.networks import device_of
from expunge.requests import Fence
from expunge.specs import ModelSpec

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from expunge.evaluation.spdgan import Fitted

FORMAT = 1
# How far the mean of the inputs may move, in their standard deviations.
DRIFT = 0.1


def generator(
    line: Line, fence: Fence, spec: ModelSpec, peers: list[torch.nn.Module]
) -> Fitted | None:
    """The model's generator, from the cache or fitted now against its reference models.

    None where labels are real numbers: what it is fitted to is accuracy.
    """
    if spec.task == "regression":
        return None
    from expunge.evaluation.spdgan import drift, load

    dataset = line.workspace.dataset(spec.dataset)
    made_of = [FORMAT, reference_digest(line, spec), dataset.features.model_dump()]

    def kept(*, afresh: bool = False) -> Fitted:
        folder = derived(
            line,
            fence,
            key=f"generator:{spec.name}:{digest_of(*made_of)}",
            dataset=spec.dataset,
            roles="RFV",
            make=lambda aside: _fit(line, spec, peers, aside),
            afresh=afresh,
        )
        return load(folder)

    fitted = kept()
    if drift(fitted, line.rows(dataset, "F")) > DRIFT:
        line.progress("generator", f"{spec.name}: the data drifted away from SPD-GAN's")
        fitted = kept(afresh=True)
    return fitted


def _fit(line: Line, spec: ModelSpec, peers: list[torch.nn.Module], folder: Path) -> None:
    from expunge.evaluation.spdgan import SpdGanSettings, Step, fit_spdgan, save

    dataset, settings = line.workspace.dataset(spec.dataset), SpdGanSettings()

    def told(step: Step) -> None:
        line.progress("generator", "fitting SPD-GAN on role F", step.number, settings.steps)

    line.progress("generator", f"{spec.name}: SPD-GAN on roles F and V")
    fitted = fit_spdgan(
        line.rows(dataset, "F"),
        line.rows(dataset, "V"),
        peers,
        settings=settings,
        seed=spec.recipe.seed,
        device=device_of(spec),
        categorical=dataset.features.categorical_positions,
        on_step=told,
    )
    save(fitted, folder)
    why = fitted.calibration.not_resolvable
    line.progress("generator", f"not resolvable: {why}" if why else f"ε = {fitted.epsilon:.3f}")
