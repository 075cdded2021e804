"""Reference models of a governed model: trained on role R, they say which rows are hard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from expunge.line.context import Line
from expunge.line.derived import derived, digest_of
from expunge.networks import device_of, loss_of, network
from expunge.requests import Fence
from expunge.specs import ModelSpec

if TYPE_CHECKING:
    import torch


def references(line: Line, fence: Fence, spec: ModelSpec) -> list[torch.nn.Module]:
    """The model's reference models, from the cache or trained now."""
    from expunge.training import load_weights

    factory = network(line.workspace, spec)
    folder = derived(
        line,
        fence,
        key=f"references:{spec.name}:{reference_digest(line, spec)}",
        dataset=spec.dataset,
        roles="R",
        make=lambda aside: _train(line, spec, aside),
    )
    models = []
    for path in sorted(folder.glob("*.safetensors")):
        models.append(factory.build(spec.recipe.seed))
        load_weights(models[-1], path)
    return models


def reference_digest(line: Line, spec: ModelSpec) -> str:
    """Digest of everything but rows that the reference models are a function of."""
    wanted = spec.references.model_dump(exclude={"shadows"})
    return digest_of(recipe_digest(line, spec), wanted)


def recipe_digest(line: Line, spec: ModelSpec) -> str:
    """Digest of everything but rows and seed that a champion is a function of."""
    source = network(line.workspace, spec).source_digest
    return digest_of(spec.recipe.model_dump(), spec.args, spec.loss, source)


def _train(line: Line, spec: ModelSpec, folder: Path) -> None:
    from expunge.evaluation import train_references
    from expunge.training import save_weights

    line.progress("references", f"{spec.references.models} reference models on role R")
    models = train_references(
        network(line.workspace, spec),
        line.rows(line.workspace.dataset(spec.dataset), "R"),
        spec.recipe,
        models=spec.references.models,
        epochs=spec.references.epochs,
        loss=loss_of(spec),
        seed=spec.recipe.seed,
        device=device_of(spec),
    )
    for number, model in enumerate(models):
        save_weights(model, folder / f"{number:02}.safetensors")
