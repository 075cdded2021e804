"""What every station needs: the workspace, its ledger, its model registry, and somewhere to
report progress.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from expunge.dataset import ArrowRows, Store, open_rows, training_rows
from expunge.dataset.disk import writing
from expunge.errors import TerminalError
from expunge.lineage import Registry
from expunge.logs import about, is_json
from expunge.requests import DatasetVersion, Fence, Ledger, LedgerUnavailableError
from expunge.specs import DatasetSpec
from expunge.workspace import Workspace

_logger = logging.getLogger("expunge.line")


class Progress(Protocol):
    """Where a station says what it is doing; `done` of `total` where it is long."""

    def __call__(
        self, station: str, text: str, done: float | None = None, total: float | None = None
    ) -> None:
        """Report one step."""


def silent(station: str, text: str, done: float | None = None, total: float | None = None) -> None:
    """Report nothing."""


@dataclass(frozen=True)
class Line:
    """The parts that the stations share.

    `past` is the folder of an earlier version, which stations then read in place of the current
    one: so a ledger from a backup catches up.
    """

    workspace: Workspace
    ledger: Ledger
    registry: Registry
    progress: Progress = field(default=silent)
    past: Path | None = None

    def store(self, spec: DatasetSpec) -> Store:
        """The current shards of a dataset."""
        return Store(self.past or self.workspace.root / "data" / spec.name, spec)

    def sealed(self, batch_id: str) -> Path:
        """File of the batch's sealed forget rows."""
        return self.workspace.state("sealed") / f"{batch_id}.sealed"

    def staging(self, name: str) -> Path:
        """Folder where a batch or an ingest puts files aside."""
        return self.workspace.state("staging") / name

    def current_version(self, dataset: str) -> DatasetVersion:
        """The newest version of a dataset."""
        version = self.ledger.current_version(dataset)
        if version is None:
            raise TerminalError(
                f"Dataset {dataset!r} has no version yet.",
                fix=f"expunge ingest {dataset} --from PATH",
            )
        return version

    def scratch(self, spec: DatasetSpec, roles: str) -> Path:
        """File of the uncompressed copy of some roles' rows of the current version.

        Made where absent, and anew where the spec reads features otherwise (an image resized);
        erasing removes the copies of older versions.
        """
        version = self.current_version(spec.name).md5.removesuffix(".dir")
        read = hashlib.sha256(spec.features.model_dump_json().encode()).hexdigest()[:12]
        file = self.workspace.state("scratch", spec.name, version) / f"{roles}-{read}.arrow"
        if not file.exists():
            training_rows(self.store(spec), spec, roles, file)
        return file

    def rows(self, spec: DatasetSpec, roles: str) -> ArrowRows:
        """Rows of some roles of the current version, memory-mapped."""
        return open_rows(self.scratch(spec, roles), spec)

    def lock(self, dataset: str) -> AbstractContextManager[Fence]:
        """The dataset's writer lock, with the lease of the settings."""
        return self.ledger.lock(dataset, lease_seconds=self.workspace.settings.locks.lease_seconds)

    @contextmanager
    def station(
        self, batch_id: str, station: str, fence: Fence, part: str = ""
    ) -> Iterator[dict[str, Any] | None]:
        """Run a station's body once: yields None when its outcome is already in the ledger.

        The body fills the dict that it gets; leaving the block without an error writes it as
        the outcome, with the seconds it took. The key `state` moves the batch along.
        """
        if self.ledger.outcome(batch_id, station, part) is not None:
            yield None
            return
        model = part.split("/", maxsplit=1)[0]
        with about(batch_id=batch_id, dataset=fence.dataset, model=model, station=station), _told():
            self.ledger.check(fence)
            started = time.monotonic()
            outcome: dict[str, Any] = {}
            with self._held(fence), writing(self.workspace.settings.folders.state):
                yield outcome
            state = outcome.pop("state", None)
            outcome["seconds"] = round(time.monotonic() - started, 3)
            self.ledger.conclude(fence, batch_id, station, outcome, part=part, state=state)

    @contextmanager
    def _held(self, fence: Fence) -> Iterator[None]:
        """Say that the lock was lost where that is why a body failed.

        Who took it over removes files from under a process that was stopped beyond its lease.
        """
        try:
            yield
        except Exception:
            with suppress(LedgerUnavailableError):
                self.ledger.check(fence)
            raise

    def found(self, batch_id: str, station: str, part: str = "") -> Mapping[str, Any]:
        """The outcome of a station that has run."""
        outcome = self.ledger.outcome(batch_id, station, part)
        if outcome is None:
            raise LookupError(f"station {station} of {batch_id} has not run")
        return outcome


@contextmanager
def _told() -> Iterator[None]:
    """Log that a station begins, and how it ends."""
    _logger.info("begins")
    try:
        yield
    except Exception:
        if is_json():  # a person gets the error itself, once and without a traceback
            _logger.exception("failed")
        raise
    _logger.info("concluded")


@contextmanager
def open_line(root: Path, *, progress: Progress = silent) -> Iterator[Line]:
    """The line over the workspace at `root`; closes the ledger afterwards."""
    workspace = Workspace.open(root)
    settings = workspace.settings
    with Ledger.open(settings.ledger.url.get_secret_value(), workspace.keys) as ledger:
        yield Line(workspace, ledger, Registry.open(settings), progress)
