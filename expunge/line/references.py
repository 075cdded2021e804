"""Reference models of a governed model: trained on role R, they say which rows are hard.

Derived from people's rows: tracked in the ledger, rebuilt when someone in role R is erased.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from expunge.line.context import Line
from expunge.networks import device_of, network
from expunge.requests import Derived, Fence
from expunge.specs import ModelSpec

if TYPE_CHECKING:
    import torch


def references(line: Line, fence: Fence, spec: ModelSpec) -> list[torch.nn.Module]:
    """The model's reference models, from the cache or trained now."""
    from expunge.training import load_weights

    factory = network(line.workspace, spec)
    key = f"references:{spec.name}:{_recipe_digest(spec, factory.source_digest)}"
    folder = line.workspace.state("derived") / key.replace(":", "-")
    known = line.ledger.derived(key)
    if known is None or known.state != "valid" or not folder.is_dir():
        _train(line, fence, spec, key, folder)
    models = []
    for path in sorted(folder.glob("*.safetensors")):
        models.append(factory.build(spec.recipe.seed))
        load_weights(models[-1], path)
    return models


def _train(line: Line, fence: Fence, spec: ModelSpec, key: str, folder: Path) -> None:
    from expunge.evaluation import train_references
    from expunge.training import save_weights

    dataset = line.workspace.dataset(spec.dataset)
    line.progress("references", f"{spec.references.models} reference models on role R")
    models = train_references(
        network(line.workspace, spec),
        line.rows(dataset, "R"),
        spec.recipe,
        models=spec.references.models,
        epochs=spec.references.epochs,
        seed=spec.recipe.seed,
        device=device_of(spec),
    )
    aside = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    for number, model in enumerate(models):
        save_weights(model, aside / f"{number:02}.safetensors")
    shutil.rmtree(folder, ignore_errors=True)
    aside.rename(folder)
    line.ledger.record_derived(
        fence,
        Derived(
            key=key,
            kind="references",
            dataset=dataset.name,
            dataset_ordinal=line.current_version(dataset.name).ordinal,
            roles="R",
            path=f"derived/{folder.name}",
            digest=_digest(folder),
            state="valid",
            created_at=datetime.now(UTC),
        ),
    )


def _recipe_digest(spec: ModelSpec, source: str) -> str:
    recipe = [spec.recipe.model_dump(), spec.references.model_dump(), spec.args, source]
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:16]


def _digest(folder: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        total.update(path.read_bytes())
    return total.hexdigest()
