"""One attempt: one rung of a model's ladder, from one base version, in one batch."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from expunge.errors import TerminalError, TransientError
from expunge.line.context import Line
from expunge.requests import ModelVersion
from expunge.specs import ModelSpec
from expunge.worker import WEIGHTS


@dataclass(frozen=True)
class Attempt:
    """Rung `rung` (from 0) of `model`'s ladder, starting from version `base`."""

    batch_id: str
    model: str
    base: str
    rung: int

    @property
    def part(self) -> str:
        """Key of the attempt's outcomes within a station."""
        return f"{self.model}/{self.base}/{self.rung}"

    def folder(self, line: Line) -> Path:
        """Job, weights, result and scores of this attempt."""
        return line.workspace.state("jobs", self.batch_id, self.model, self.base, str(self.rung))

    def weights(self, line: Line) -> Path:
        """The candidate's weights; TransientError if they are not those that were unlearned."""
        path = self.folder(line) / WEIGHTS
        made = line.found(self.batch_id, "unlearn", self.part)["weights_sha256"]
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != made:
                raise TransientError(
                    f"The weights of {self.model!r} in the state folder are not those that "
                    "unlearning recorded.",
                    left="The champion is as it was.",
                    fix="find out who else writes to that folder: expunge doctor",
                )
        return path

    def spec(self, line: Line) -> ModelSpec:
        """The governed model's spec."""
        return line.workspace.model(self.model)

    def strategy(self, line: Line) -> str:
        """Name of the rung's strategy."""
        return self.spec(line).ladder[self.rung].strategy

    def exact(self, line: Line) -> bool:
        """Whether the rung leaves nothing of the base."""
        return self.spec(line).ladder[self.rung].exact


def models_to_settle(line: Line, batch_id: str) -> list[str]:
    """Models that hold erased rows, of this batch or as debts of earlier ones."""
    batch = line.ledger.batch(batch_id)
    names = [spec.name for spec in line.workspace.models(batch.dataset)]
    return [name for name in names if line.ledger.debts(name)]


def forgotten_batches(line: Line, base: ModelVersion) -> tuple[str, ...]:
    """Batches whose rows make up the forget split of `base`: erased since it was last clean.

    A version that someone put back may hold more than the debts that the ledger counts.
    """
    owed = line.ledger.debts(base.model)
    since = [v for v in line.ledger.versions(base.dataset) if v.ordinal > base.clean_as_of]
    erased = [v.batch_id for v in since if v.batch_id is not None]
    return tuple(each for each in erased if each in owed or line.sealed(each).exists())


def base_of(line: Line, model: str, version: str) -> ModelVersion:
    """What the ledger knows of the version that unlearning starts from."""
    for known in line.ledger.model_versions(model):
        if known.version == version:
            return known
    raise TerminalError(
        f"Champion version {version} of {model!r} was not made by expunge: nothing is known of "
        "the rows that it saw.",
        left="The dataset is erased; the model keeps its debt.",
        fix=f"expunge train {model}",
    )


def seed_of(batch_id: str) -> int:
    """The batch's seed, 0 … 2⁶³−1: a function of its id, so that a refusal cannot reseed."""
    return int.from_bytes(hashlib.sha256(batch_id.encode()).digest()[:8]) >> 1
