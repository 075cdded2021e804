"""Recover: finish the ingest that a killed process left between intent and outcome; sweep.

The batches' own effects are replayed by their stations; an ingest has no batch, so whoever takes
the dataset's lock next finishes it first. Its staging folder stays until it is recorded. A ledger
that came back from a backup is no crash, and nothing goes on from it (`catchup.py`).
"""

from __future__ import annotations

import shutil

from expunge.dataset import Recorded, find_published, history, sweep_sealing
from expunge.dataset import publish as publish_files
from expunge.errors import TerminalError
from expunge.line.context import Line
from expunge.line.kept import prune
from expunge.requests import DatasetVersion, Effect, Fence

OVER = ("finished", "failed", "postponed")


class LedgerBehindError(TerminalError):
    """The ledger does not know versions that were published."""


def recover(line: Line, dataset: str, fence: Fence) -> None:
    """Finish every ingest of `dataset` that was intended and not completed; sweep.

    Raises:
        LedgerBehindError: the ledger has forgotten a version, and would bring people back.
    """
    _refuse_behind(line, dataset)
    for effect in line.ledger.open_effects(dataset, "ingest"):
        line.progress("recover", f"finishing ingest {effect.detail['ingest']} of {dataset}")
        finish_ingest(line, fence, effect)
    sweep(line, dataset)


def unknown_versions(line: Line, dataset: str) -> tuple[Recorded, ...]:
    """Published versions, oldest first, of which the ledger has not even the intent."""
    current = line.ledger.current_version(dataset)
    since = history(line.workspace.root, dataset, current.commit if current else None)
    return tuple(each for each in since if line.ledger.effect(each.key) is None)


def _refuse_behind(line: Line, dataset: str) -> None:
    if missed := unknown_versions(line, dataset):
        raise LedgerBehindError(
            f"{len(missed)} version(s) of {dataset!r} were published that the ledger does not "
            "know: it was restored from a backup that is older.",
            fix=f"import again what was filed since that backup, then `expunge catch-up {dataset}`",
        )


def sweep(line: Line, dataset: str) -> None:
    """Remove what batches that are over left behind: jobs, staged files, copies of rows.

    Sealed rows of a finished batch stay for the purge; a failed one erased nothing, and the
    sealed rows of people who are still there go with their key. Passing copies, and half-sealed
    rows, of processes that were killed go. What was kept of edits that no serving model comes
    from goes too.
    """
    known = {batch.id: batch.state for batch in line.ledger.batches(dataset)}
    over = {name: state for name, state in known.items() if state in OVER}
    sweep_sealing(line.workspace.state("sealed"), known)
    for folder in ("jobs", "staging"):
        for path in line.workspace.state(folder).iterdir():
            if path.name in over:
                shutil.rmtree(path, ignore_errors=True)
    for path in line.workspace.state("sealed").iterdir():
        if over.get(path.stem, "finished") != "finished":
            path.unlink(missing_ok=True)
            line.workspace.keys.destroy(path.stem)
    line.registry.sweep()
    prune(line, dataset)


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
            git_remote=line.workspace.settings.git.remote,
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
