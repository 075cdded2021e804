"""Ingest: a new version of a dataset from files, without anyone who was erased."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from expunge.dataset import StagedIngest, stage_ingest
from expunge.errors import TerminalError
from expunge.line.context import Line
from expunge.line.recover import finish_ingest, recover
from expunge.requests import Fence
from expunge.specs import DatasetSpec


class BatchOpenError(TerminalError):
    """A batch of the dataset has begun and is not finished."""


@dataclass(frozen=True)
class Ingested:
    """What one ingest did. Counts are rows; `suppressed` belonged to erased people."""

    dataset: str
    ordinal: int
    version: str
    commit: str
    rows_in: int
    rows_added: int
    duplicates: int
    suppressed: int
    rows_total: int
    shards_written: int


def ingest(
    line: Line, dataset: str, source: Path, mode: Literal["append", "replace"] = "append"
) -> Ingested:
    """Read `source` into dataset `dataset` and publish the version that it makes."""
    spec = line.workspace.dataset(dataset)
    with line.lock(dataset) as fence:
        recover(line, dataset, fence)
        refuse_open_batch(line, dataset)
        current = line.ledger.current_version(dataset)
        number = current.ingest + 1 if current else 1
        name = f"ingest-{dataset}-{number}"
        staging = line.staging(name)
        shutil.rmtree(staging, ignore_errors=True)
        line.progress("ingest", f"reading {source.name}")
        try:
            staged = stage_ingest(
                spec,
                source,
                mode=mode,
                current=line.store(spec) if current else None,
                staging=staging,
                key=line.workspace.keys.placement(dataset, create=current is None),
                ingest=number,
                suppressed=_suppressed(line, spec),
                on_progress=lambda what, done, total: line.progress("ingest", what, done, total),
            )
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
        if current and not staged.touched:
            shutil.rmtree(staging, ignore_errors=True)
            return _ingested(staged, dataset, current.ordinal, current.md5, current.commit)
        return _publish(line, fence, staged, mode=mode, number=number, name=name)


def _publish(
    line: Line, fence: Fence, staged: StagedIngest, *, mode: str, number: int, name: str
) -> Ingested:
    count = len(staged.touched)
    line.progress("publish", f"{count} shard{'s' * (count != 1)}: DVC add and push, one commit")
    detail = {
        "dataset": fence.dataset,
        "ingest": number,
        "mode": mode,
        "staging": name,
        "rows_added": staged.rows_added,
        "rows": staged.rows_total,
        "shards": staged.shards,
    }
    effect = line.ledger.intend(fence, f"ingest:{fence.dataset}:{number}", "ingest", detail)
    version = finish_ingest(line, fence, effect)
    return _ingested(staged, fence.dataset, version.ordinal, version.md5, version.commit)


def refuse_open_batch(line: Line, dataset: str, *, unless_published: bool = False) -> None:
    """An unfinished batch goes first: its shards may be half replaced before it is published."""
    batch = line.ledger.open_batch(dataset)
    published = batch is not None and line.ledger.outcome(batch.id, "publish") is not None
    if batch is not None and not (published and unless_published):
        raise BatchOpenError(
            f"Batch {batch.id} of dataset {dataset!r} is {batch.state} and not finished.",
            fix=f"`expunge run {dataset}` finishes it; then try again",
        )


def _suppressed(line: Line, spec: DatasetSpec) -> Callable[[Collection[str]], set[str]]:
    """Which of some people were erased and may not come back."""
    if spec.reappearance == "allow_after_erasure":
        return lambda subjects: set()
    return line.ledger.suppressed(spec.name).contains


def _ingested(
    staged: StagedIngest, dataset: str, ordinal: int, version: str, commit: str
) -> Ingested:
    return Ingested(
        dataset=dataset,
        ordinal=ordinal,
        version=version,
        commit=commit,
        rows_in=staged.rows_in,
        rows_added=staged.rows_added,
        duplicates=staged.duplicates,
        suppressed=staged.suppressed,
        rows_total=staged.rows_total,
        shards_written=len(staged.touched),
    )
