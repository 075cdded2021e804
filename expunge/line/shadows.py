"""Shadow models of a governed model, for LiRA: derived artifacts, each trained on half the people.

They hang on no request and no champion, only on the dataset's rows and the recipe, so that one
set serves every audit until someone in role T or E is erased. One shadow is one call, which an
orchestrator may spread over its workers.
"""

from __future__ import annotations

import multiprocessing
import shutil
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from expunge.dataset.disk import writing
from expunge.errors import TransientError
from expunge.line.context import Line, open_line
from expunge.line.derived import derived, digest_of, is_valid
from expunge.line.ingest import refuse_open_batch
from expunge.line.references import recipe_digest
from expunge.networks import device_of, loss_of, network
from expunge.specs import ModelSpec

if TYPE_CHECKING:
    from expunge.dataset import ArrowRows
    from expunge.evaluation import ShadowScores
    from expunge.evaluation.shadows import Shadow

_WEIGHTS, _SEED = "shadow.safetensors", 0


class PeopleErasedError(TransientError):
    """People were erased while a model was trained on them."""


def train_shadow(line: Line, model: str, number: int) -> None:
    """Train shadow `number` of `model` and keep it; nothing to do where it is kept and valid.

    The dataset's lock is held at the beginning and the end only, so that requests do not wait.

    Raises:
        PeopleErasedError: someone was erased meanwhile; what was trained is thrown away.
    """
    spec = line.workspace.model(model)
    if is_valid(line, _key(line, spec, number)):
        return
    from expunge.evaluation.shadows import train_shadow as train
    from expunge.training import save_weights

    with line.lock(spec.dataset):
        refuse_open_batch(line, spec.dataset, unless_published=True)
        key, pool = _key(line, spec, number), _pool(line, spec)
        began = line.current_version(spec.dataset).ordinal
        aside = line.workspace.state("scratch", spec.dataset) / f"{key.replace(':', '-')}.part"
        aside.mkdir(exist_ok=True)  # an erasure removes it, as every copy
    factory, device = network(line.workspace, spec), device_of(spec)
    made = train(number, factory, pool, spec.recipe, loss=loss_of(spec), seed=_SEED, device=device)
    with line.lock(spec.dataset) as fence, writing(aside.parent):
        if _erased_since(line, spec.dataset, began):
            raise PeopleErasedError(
                f"People were erased from {spec.dataset!r} while a shadow model of {model!r} was "
                "trained.",
                left="The shadow model was thrown away.",
                fix=f"expunge audit {model} --with-retrain",
            )
        derived(
            line,
            fence,
            key=key,
            dataset=spec.dataset,
            roles="TE",
            make=lambda folder: save_weights(made.model, folder / _WEIGHTS),
        )
        shutil.rmtree(aside, ignore_errors=True)


def train_shadow_apart(root: Path, model: str, number: int) -> None:
    """The same in a process of its own, so that several may be trained side by side.

    Threads of one process would share torch's random state, and the seeds would mean nothing.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        pool.submit(_train_at, root, model, number).result()


def _train_at(root: Path, model: str, number: int) -> None:
    with open_line(root) as line:
        train_shadow(line, model, number)


def shadow_scores(line: Line, model: str, *sides: ArrowRows) -> tuple[ShadowScores, ...]:
    """Margins of every shadow model of `model` on some rows; those that are missing are trained."""
    from expunge.evaluation import ShadowScores

    spec, kept = line.workspace.model(model), []
    for number in range(spec.references.shadows):
        line.progress("shadows", f"{model}: shadow models", number, spec.references.shadows)
        train_shadow(line, model, number)
        kept.append(_load(line, spec, number))
    device = device_of(spec)
    return tuple(
        ShadowScores.stacked([each.scores(side, device=device) for each in kept]) for side in sides
    )


def _load(line: Line, spec: ModelSpec, number: int) -> Shadow:
    import numpy as np

    from expunge.evaluation.shadows import Shadow, shadow_split
    from expunge.training import load_weights

    model = network(line.workspace, spec).build(spec.recipe.seed).eval()
    load_weights(model, _folder(line, spec, number) / _WEIGHTS)
    codes = _pool(line, spec).subject_codes
    return Shadow(number, model, np.unique(codes[shadow_split(codes, number, _SEED)]))


def _pool(line: Line, spec: ModelSpec) -> ArrowRows:
    """Everyone who is judged by shadow models: champions' people and held-out ones."""
    return line.rows(line.workspace.dataset(spec.dataset), "TE")


def _key(line: Line, spec: ModelSpec, number: int) -> str:
    version = line.current_version(spec.dataset).md5
    return f"shadow:{spec.name}:{digest_of(recipe_digest(line, spec), version)}-{number:02}"


def _folder(line: Line, spec: ModelSpec, number: int) -> Path:
    return line.workspace.state("derived") / _key(line, spec, number).replace(":", "-")


def _erased_since(line: Line, dataset: str, ordinal: int) -> bool:
    return any(
        version.kind == "erasure" and version.ordinal > ordinal
        for version in line.ledger.versions(dataset)
    )
