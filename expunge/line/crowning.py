"""A whole model of the current dataset version becomes champion: trained here, or adopted.

Refuses a version that still holds erased people. A champion made of clean data owes nothing: its
promotion pays every debt of the model.
"""

from __future__ import annotations

from datetime import UTC, datetime

from expunge.dataset import subjects_in
from expunge.errors import TerminalError
from expunge.line.context import Line
from expunge.lineage import Registered
from expunge.requests import DatasetVersion, Fence, ModelVersion
from expunge.specs import DatasetSpec


class DirtyVersionError(TerminalError):
    """The dataset version cannot be trained on: it holds erased people, or is not current."""


def make_champion(
    line: Line, fence: Fence, version: DatasetVersion, registered: Registered, before: str | None
) -> None:
    """Record the new model, make it champion, and pay the model's debts with it."""
    model = registered.model
    line.ledger.record_model(
        fence,
        ModelVersion(
            model=model,
            version=registered.version,
            dataset=version.dataset,
            dataset_ordinal=version.ordinal,
            ingest_seen=version.ingest,
            clean_as_of=version.ordinal,
            kind="trained",
            parent=None,
            batch_id=None,
            run_id=registered.run_id,
            strategy=None,
            edits=0,
            created_at=datetime.now(UTC),
        ),
    )
    line.registry.promote(model, registered.version, before)
    line.ledger.record_promotion(fence, model, registered.version)
    line.ledger.settle_by_training(fence, model, registered.version)


def clean_version(line: Line, dataset: DatasetSpec) -> DatasetVersion:
    """The current version; DirtyVersionError if its shards hold somebody who was erased."""
    version = line.current_version(dataset.name)
    suppressed = line.ledger.suppressed(dataset.name)
    present = sum(len(suppressed.contains(some)) for some in subjects_in(line.store(dataset)))
    if present and dataset.reappearance == "block":
        raise DirtyVersionError(
            f"The shards in data/{dataset.name} hold {present} erased person(s): "
            "they are not those of the current version.",
            fix=f"git checkout {version.commit[:12]} -- data/{dataset.name}.dvc && "
            f"dvc checkout data/{dataset.name}.dvc",
        )
    return version


def still_clean(line: Line, version: DatasetVersion) -> None:
    """Training takes long and holds no lock: someone may have been erased meanwhile."""
    versions = line.ledger.versions(version.dataset)
    if any(v.kind == "erasure" for v in versions if v.ordinal > version.ordinal):
        raise DirtyVersionError(
            f"People were erased from {version.dataset!r} while the model was training on them.",
            left="The champion is as it was; the new model was dropped.",
            fix="train again",
        )
