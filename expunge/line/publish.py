"""Publish: replace the shards, add them to DVC, push, commit and tag; one effect.

From here on the dataset stays erased, whatever happens to the models.
"""

from __future__ import annotations

import shutil

from expunge.dataset import find_published, summary
from expunge.dataset import publish as publish_files
from expunge.line.context import Line
from expunge.line.stage import staged_erasure
from expunge.requests import DatasetVersion, Fence, ModelSight


def publish(line: Line, batch_id: str, fence: Fence) -> None:
    """Make the staged shards the dataset's next version and record who was erased in it."""
    with line.station(batch_id, "publish", fence) as outcome:
        if outcome is None:
            return
        dataset, root = fence.dataset, line.workspace.root
        staged = staged_erasure(line, batch_id)
        key = f"publish:{batch_id}"
        line.progress("publish", "DVC add and push, one commit")
        line.ledger.intend(fence, key, "publish", {"dataset": dataset}, batch_id=batch_id)
        published = find_published(root, dataset, key)
        if published is None:
            published = publish_files(
                root,
                dataset,
                line.staging(batch_id),
                key=key,
                message=f"Erase {staged.rows_erased} rows from {dataset} ({batch_id})",
                git_remote=line.workspace.settings.git.remote,
            )
        line.ledger.complete(fence, key, {"md5": published.md5, "commit": published.commit})
        trained = line.found(batch_id, "claim")["trained"]
        version = line.ledger.record_erasure(
            fence,
            batch_id,
            md5=published.md5,
            commit=published.commit,
            rows=summary(line.store(line.workspace.dataset(dataset))).rows,
            shards=staged.shards_total,
            shards_rewritten=len(staged.touched),
            trained={
                int(target): {int(ingest): rows for ingest, rows in by_ingest.items()}
                for target, by_ingest in trained.items()
            },
            models=_sights(line, batch_id, dataset),
        )
        _forget_copies(line, fence, staged.by_role)
        outcome |= {
            "version_before": _md5_before(line, version),
            "version_after": version.md5,
            "commit": version.commit,
        }
        shutil.rmtree(line.staging(batch_id), ignore_errors=True)
        line.progress("publish", f"version {version.ordinal}, commit {version.commit[:10]}")


def _sights(line: Line, batch_id: str, dataset: str) -> dict[str, ModelSight]:
    """How far each governed model has seen the dataset; None where no champion exists.

    The champion at claim, and one that was trained since. One that the ledger does not know may
    have seen every row that there is.
    """
    newest = line.current_version(dataset).ingest
    sights = {}
    for model, claimed in line.ledger.batch(batch_id).champions.items():
        known = {known.version: known.ingest_seen for known in line.ledger.model_versions(model)}
        now = line.ledger.champion(model)
        seen = [known.get(claimed, newest)] if claimed else []
        seen += [now.ingest_seen] if now else []
        sights[model] = ModelSight(max(seen, default=None))
    return sights


def _md5_before(line: Line, version: DatasetVersion) -> str:
    known = {known.ordinal: known.md5 for known in line.ledger.versions(version.dataset)}
    return known[version.ordinal - 1]


def _forget_copies(line: Line, fence: Fence, by_role: dict[str, int]) -> None:
    """Remove scratch copies of older versions; invalidate derived models that saw the rows."""
    shutil.rmtree(line.workspace.state("scratch", fence.dataset), ignore_errors=True)
    line.ledger.invalidate_derived(
        fence, fence.dataset, [role for role, rows in by_role.items() if rows]
    )
