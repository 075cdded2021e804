"""The bench of an audit: copies of a champion and of its rows, to try strategies on.

Everything lies below one folder among the dataset's scratch copies, which the next erasure removes
as it removes every copy: an audit that is overtaken by one ends there. The dataset's lock is held
only while rows are copied, so that requests of people do not wait for an audit.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from expunge.dataset import ArrowRows
from expunge.dataset.disk import writing
from expunge.errors import TerminalError, TransientError
from expunge.evaluation import Scores, reference_margin, score
from expunge.line.attempt import seed_of
from expunge.line.context import Line
from expunge.line.generator import generator
from expunge.line.ingest import refuse_open_batch
from expunge.line.recover import recover
from expunge.line.references import references
from expunge.lineage.passing import passing_folder, sweep_passing
from expunge.networks import device_of, network
from expunge.requests import DatasetVersion, MockKind, ModelVersion
from expunge.specs import ModelSpec
from expunge.worker import WEIGHTS

if TYPE_CHECKING:
    import torch

    from expunge.evaluation.scores import Floats
    from expunge.evaluation.spdgan import Fitted

Slot = Callable[[], AbstractContextManager[None]]


class NoChampionError(TerminalError):
    """There is no champion that the ledger knows, so nothing to audit."""


class OvertakenError(TransientError):
    """People were erased from the dataset while a copy of it was audited."""


@dataclass(frozen=True)
class Bench:
    """What the trials of one audit share: the champion and the rows, as copies."""

    line: Line
    spec: ModelSpec
    champion: ModelVersion
    version: DatasetVersion
    folder: Path
    training: ArrowRows
    held_out: ArrowRows
    peers: list[torch.nn.Module]
    generator: Fitted | None
    slot: Slot

    @property
    def champion_weights(self) -> Path:
        """A copy of the champion's weights."""
        return self.folder / "champion" / WEIGHTS

    @cached_property
    def held_out_margin(self) -> Floats:
        """Reference margins of the held-out rows."""
        return reference_margin(self.peers, self.held_out, device=device_of(self.spec))

    @cached_property
    def champion_held_out(self) -> Scores:
        """The champion's scores on the held-out rows."""
        return self.scored(self.champion_weights, self.held_out)[0]

    def seed(self, kind: MockKind, draw: int | None = None) -> int:
        """A seed of model, version, kind and draw: the same audit draws the same requests."""
        key = ["audit", self.spec.name, self.champion.version, kind]
        return seed_of("/".join(key if draw is None else [*key, str(draw)]))

    def load(self, weights: Path) -> torch.nn.Module:
        """The spec's network with some weights."""
        from expunge.training import load_weights

        model = network(self.line.workspace, self.spec).build(self.spec.recipe.seed)
        load_weights(model, weights)
        return model

    def scored(self, weights: Path, *splits: ArrowRows) -> tuple[Scores, ...]:
        """Scores of some weights on some rows."""
        model = self.load(weights)
        return tuple(score(model, split, device=device_of(self.spec)) for split in splits)

    def check(self) -> None:
        """Raise OvertakenError if people were erased since the audit began."""
        versions = self.line.ledger.versions(self.version.dataset)
        if any(v.kind == "erasure" for v in versions if v.ordinal > self.version.ordinal):
            raise OvertakenError(
                f"People were erased from {self.version.dataset!r} while {self.spec.name!r} was "
                "audited on them.",
                left="Records made until then are kept; the copies were removed.",
                fix=f"expunge audit {self.spec.name}",
            )


@contextmanager
def open_bench(line: Line, spec: ModelSpec, slot: Slot) -> Iterator[Bench]:
    """Copies of champion and rows in a folder of their own, removed at the end."""
    dataset = line.workspace.dataset(spec.dataset)
    champion = _champion(line, spec.name)
    with writing(line.workspace.settings.folders.state), line.lock(dataset.name) as fence:
        recover(line, dataset.name, fence)
        refuse_open_batch(line, dataset.name, unless_published=True)
        version = line.current_version(dataset.name)
        line.progress("audit", f"{spec.name}: version {champion.version}")
        training, held_out = line.rows(dataset, "T"), line.rows(dataset, "E")
        peers = references(line, fence, spec)
        fitted = generator(line, fence, spec, peers)
        folder = _folder(line, spec)
    bench = Bench(line, spec, champion, version, folder, training, held_out, peers, fitted, slot)
    try:
        line.registry.fetch_weights(spec.name, champion.version, folder / "champion")
        with writing(folder):
            yield bench
    except Exception:
        bench.check()  # an erasure takes the files from under a trial
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _champion(line: Line, model: str) -> ModelVersion:
    version = line.registry.champion(model)
    for known in line.ledger.model_versions(model):
        if known.version == version:
            return known
    what = f"has version {version} as champion, which expunge did not make" if version else ""
    raise NoChampionError(
        f"{model!r} {what or 'has no champion'}: there is nothing to audit.",
        fix=f"expunge train {model}",
    )


def _folder(line: Line, spec: ModelSpec) -> Path:
    """A fresh folder among the dataset's copies; those of audits that were killed are removed."""
    copies, prefix = line.workspace.state("scratch", spec.dataset), f"audit-{spec.name}-"
    sweep_passing(copies, prefix)
    return passing_folder(copies, prefix)
