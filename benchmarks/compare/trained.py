"""Networks that several cells share: champions, retrains, references, shadows; trained once.

A network is kept under a digest of everything that it is a function of, so that a change of
recipe, network or rows trains anew and nothing stale is ever read.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from expunge.dataset import ArrowRows
from expunge.evaluation import train_references
from expunge.evaluation.shadows import Shadow, shadow_split, train_shadow
from expunge.specs import ModelSpec, Recipe
from expunge.training import (
    Factory,
    derived_seed,
    fit,
    load_factory,
    load_weights,
    save_weights,
)
from expunge.workspace import reference_folder

SHADOW_SEED = 0


@dataclass(frozen=True)
class Trained:
    """A network with what it cost: gradient-sample passes, seconds."""

    model: nn.Module
    passes: float
    seconds: float


@dataclass(frozen=True)
class Cache:
    """The networks of one dataset, under `folder`."""

    folder: Path
    spec: ModelSpec

    @property
    def factory(self) -> Factory:
        """The network's factory."""
        return load_factory(self.spec.factory, reference_folder() / "models", dict(self.spec.args))

    def fitted(self, name: str, rows: ArrowRows, recipe: Recipe, seed: int) -> Trained:
        """A network trained from scratch on `rows`; `name` and `seed` tell trainings apart."""
        own = derived_seed(seed, name)
        file = self._file(name, rows, recipe.model_dump(), own)
        model = self.factory.build(own)
        if file.exists():
            load_weights(model, file)
            known = json.loads(file.with_suffix(".json").read_text())
            return Trained(model.eval(), known["passes"], known["seconds"])
        started = time.process_time()
        history = fit(model, rows, recipe, cross_entropy, seed=own, device="cpu")
        seconds = time.process_time() - started
        file.parent.mkdir(parents=True, exist_ok=True)
        known = {"passes": history.samples, "seconds": seconds}
        file.with_suffix(".json").write_text(json.dumps(known))
        save_weights(model, file)
        return Trained(model.eval(), history.samples, seconds)

    def references(self, rows: ArrowRows, seed: int) -> list[nn.Module]:
        """The reference models of role R, by the product's own function."""
        wanted = self.spec.references
        file = self._file("references", rows, wanted.model_dump(), seed)
        files = [file.with_suffix(f".{number}.safetensors") for number in range(wanted.models)]
        if not all(each.exists() for each in files):
            trained = train_references(
                self.factory,
                rows,
                self.spec.recipe,
                models=wanted.models,
                epochs=wanted.epochs,
                seed=seed,
                device="cpu",
            )
            file.parent.mkdir(parents=True, exist_ok=True)
            for each, model in zip(files, trained, strict=True):
                save_weights(model, each)
        models: list[nn.Module] = []
        for each in files:
            models.append(self.factory.build(0).eval())
            load_weights(models[-1], each)
        return models

    def shadow(self, pool: ArrowRows, number: int) -> Shadow:
        """Shadow model `number`, on its half of the people of `pool`; the same for all seeds."""
        file = self._file(f"shadow-{number}", pool, self.spec.recipe.model_dump(), number)
        if not file.exists():
            made = train_shadow(
                number, self.factory, pool, self.spec.recipe, seed=SHADOW_SEED, device="cpu"
            )
            file.parent.mkdir(parents=True, exist_ok=True)
            save_weights(made.model, file)
        model = self.factory.build(0).eval()
        load_weights(model, file)
        mine = shadow_split(pool.subject_codes, number, SHADOW_SEED)
        return Shadow(number, model, np.unique(pool.subject_codes[mine]))

    def _file(self, name: str, rows: ArrowRows, settings: object, seed: int) -> Path:
        rows_digest = hashlib.sha256(rows.labels.tobytes() + rows.subject_codes.tobytes())
        if rows.picked is not None:
            rows_digest.update(rows.picked.tobytes())
        facts = [
            settings,
            self.spec.recipe.model_dump(),
            self.spec.args,
            self.factory.source_digest,
            rows_digest.hexdigest(),
            seed,
            torch.__version__,
        ]
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        return self.folder / f"{name}-{digest[:16]}.safetensors"
