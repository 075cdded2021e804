"""Adopt: a champion that was trained elsewhere and stands in the registry becomes governed.

Its weights are read into the spec's network, tried on the dataset version that it was trained on,
and registered anew in the form that the line works with. Nothing is trained. What it saw is what
its team says: the rows of role T of that version. Nobody may have been erased since, or it would
hold them from its first day on.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from expunge.dataset import ArrowRows, Where
from expunge.errors import TerminalError
from expunge.line.answers import Answers, answers
from expunge.line.candidate import factory_reference
from expunge.line.context import Line
from expunge.line.crowning import clean_version, make_champion, still_clean
from expunge.line.ingest import refuse_open_batch
from expunge.line.recover import recover
from expunge.lineage import Candidate, DatasetInput
from expunge.lineage.foreign import Foreign, bring
from expunge.networks import device_of, network
from expunge.requests import DatasetVersion
from expunge.specs import ModelSpec

if TYPE_CHECKING:
    import torch


class AdoptionError(TerminalError):
    """A model that cannot be governed as it stands."""


@dataclass(frozen=True)
class Adopted:
    """A champion that was adopted; `doubt` is for people to read."""

    model: str
    version: str
    run_id: str
    adopted_from: str
    dataset_version: str
    rows: int
    answers: Answers
    doubt: str | None


def adopt(
    line: Line,
    model: str,
    *,
    registered: str | None = None,
    version: str | None = None,
    weights: str | None = None,
    dataset_version: int | None = None,
) -> Adopted:
    """Make version `version` of registered model `registered` the champion of governed `model`.

    Left out: the same name, the version with alias champion, the only .safetensors file, the
    dataset version whose digest the version's run names.

    Raises:
        UnknownModelVersionError, ForeignWeightsError, WeightsError, AdoptionError,
        DirtyVersionError.
    """
    spec = line.workspace.model(model)
    dataset = line.workspace.dataset(spec.dataset)
    with line.lock(dataset.name) as fence, line.registry.passing() as folder:
        recover(line, dataset.name, fence)
        refuse_open_batch(line, dataset.name, unless_published=True)
        clean_version(line, dataset)
        found = bring(line.registry, registered or model, version, weights, folder)
        trained_on = _trained_on(line, spec, found, dataset_version)
        still_clean(line, trained_on)
        rows = line.rows(dataset, "T").where(Where(max_ingest=trained_on.ingest))
        tried = _tried(line, spec, found.weights, rows, line.rows(dataset, "E"))
        before = line.registry.champion(model)
        line.progress("register", f"{model}: {found.name} version {found.version}")
        made = line.registry.register(_candidate(line, spec, found, trained_on, tried))
        make_champion(line, fence, trained_on, made, before)
    return Adopted(
        model=model,
        version=made.version,
        run_id=made.run_id,
        adopted_from=f"{found.name} version {found.version}",
        dataset_version=trained_on.md5,
        rows=len(rows),
        answers=tried.answers,
        doubt=tried.doubt,
    )


@dataclass(frozen=True)
class _Tried:
    """The network with its weights, and how it does on both sides."""

    module: torch.nn.Module
    weights: Path
    rows: int
    answers: Answers
    doubt: str | None


def _trained_on(
    line: Line, spec: ModelSpec, found: Foreign, declared: int | None
) -> DatasetVersion:
    """The version that was declared, or whose DVC or git digest the run names."""
    versions = line.ledger.versions(spec.dataset)
    named = {digest.removesuffix(".dir") for digest in found.data_digests}
    for each in reversed(versions):
        if each.ordinal == declared:
            return each
        own = each.md5.removesuffix(".dir"), each.commit
        if declared is None and named.intersection(own):
            return each
    said = f"no version {declared}" if declared is not None else "no version that its run names"
    raise AdoptionError(
        f"{spec.dataset!r} has {said}.",
        fix=f"name one of 1 to {len(versions)}: --dataset-version NUMBER",
    )


def _tried(
    line: Line, spec: ModelSpec, weights: Path, rows: ArrowRows, held_out: ArrowRows
) -> _Tried:
    """Load and score it; AdoptionError where it does no better than guessing."""
    from expunge.training import load_weights

    module = network(line.workspace, spec).build(spec.recipe.seed)
    load_weights(module, weights)
    found = answers(module, rows, held_out, device=device_of(spec))
    if not found.better_than_guessing:
        always = "most frequent class" if found.task == "classification" else "median label"
        raise AdoptionError(
            f"With these weights {spec.factory} has {found.title} {found.said(found.training)} on "
            f"the training rows; the {always} alone gives {found.said(found.guessed)}.",
            fix="check the factory, its arguments, the scaling of the inputs and the labels' order",
        )
    return _Tried(module, weights, len(rows), found, _doubt(found))


def _doubt(found: Answers) -> str | None:
    """Held-out rows answered as well as training rows: perhaps it was trained on them, too."""
    if not found.alike:
        return None
    return (
        f"It answers held-out rows ({found.said(found.held_out)}) as well as training rows "
        f"({found.said(found.training)}). If it was trained on rows of other roles than T, nothing "
        "that is measured later holds: give its own split as a column (`split` in the dataset's "
        "spec)."
    )


def _candidate(
    line: Line, spec: ModelSpec, found: Foreign, version: DatasetVersion, tried: _Tried
) -> Candidate:
    source = f"{found.name}/{found.version}"
    return Candidate(
        effect_key=f"adopt:{spec.name}:{source}:{found.sha256[:32]}:{version.ordinal}",
        model=spec.name,
        kind="trained",
        module=tried.module,
        weights=tried.weights,
        factory=factory_reference(line.workspace, spec),
        input_shape=line.workspace.dataset(spec.dataset).features.input_shape,
        datasets=(
            DatasetInput(
                version.dataset,
                version.md5,
                version.commit,
                version.ordinal,
                {"training": tried.rows},
            ),
        ),
        metrics=tried.answers.metrics(),
        tags={"expunge.adopted_from": source},
        title="adopted",
        description=f"Adopted from {found.name} version {found.version}; weights as they were.",
    )
