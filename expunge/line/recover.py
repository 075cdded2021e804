"""Recover: finish the ingest that a killed process left between intent and outcome.

The batches' own effects are replayed by their stations; an ingest has no batch, so whoever takes
the dataset's lock next finishes it first. Its staging folder stays until it is recorded.
"""

from __future__ import annotations

import shutil

from expunge.dataset import find_published
from expunge.dataset import publish as publish_files
from expunge.line.context import Line
from expunge.requests import DatasetVersion, Effect, Fence


def recover(line: Line, dataset: str, fence: Fence) -> None:
    """Finish every ingest of `dataset` that was intended and not completed."""
    for effect in line.ledger.open_effects(dataset, "ingest"):
        line.progress("recover", f"finishing ingest {effect.detail['ingest']} of {dataset}")
        finish_ingest(line, fence, effect)


def finish_ingest(line: Line, fence: Fence, effect: Effect) -> DatasetVersion:
    """Publish the staged files of an intended ingest and record the version."""
    detail, root, dataset = effect.detail, line.workspace.root, fence.dataset
    staging = line.staging(detail["staging"])
    published = find_published(root, dataset, effect.key)
    if published is None:
        published = publish_files(
            root,
            dataset,
            staging,
            key=effect.key,
            message=f"Ingest {detail['ingest']} of {dataset}: {detail['rows_added']} rows",
            replace_all=detail["mode"] == "replace",
            git_remote=line.workspace.settings.git_remote,
        )
    version = line.ledger.record_ingest(
        fence,
        dataset=dataset,
        md5=published.md5,
        commit=published.commit,
        ingest=detail["ingest"],
        rows=detail["rows"],
        shards=detail["shards"],
    )
    line.ledger.complete(fence, effect.key, {"md5": published.md5, "commit": published.commit})
    shutil.rmtree(staging, ignore_errors=True)
    return version
