"""Catch up: a ledger that came back from a backup learns again what was published since.

Git's history is the log that is replayed. Each erasure in it that the ledger does not know is
made again as the batch that it was: its people are those of the version before who are not in
the version after, and the stations find their effects done. So whoever was erased stays erased
and on the suppression list. A request that was lost with the ledger is stood in for by one of
source `catch-up`; the sender's own, filed again, ends `already_erased`.
"""

from __future__ import annotations

import filecmp
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from expunge.dataset import Recorded, Store, checkout, subjects_of_shard, summary
from expunge.line.attempt import Attempt, models_to_settle
from expunge.line.claim import champions, look_into
from expunge.line.context import Line
from expunge.line.promote import hold
from expunge.line.publish import publish
from expunge.line.recover import unknown_versions
from expunge.line.stage import stage
from expunge.line.validate import validate
from expunge.requests import Fence, Filing
from expunge.specs import DatasetSpec

SOURCE = "catch-up"


@dataclass(frozen=True)
class CaughtUp:
    """What the ledger learned: versions, and people erased in them; `filed` had no request."""

    dataset: str
    versions: int
    people: int
    filed: int


def catch_up(line: Line, dataset: str) -> CaughtUp:
    """Record every version that the ledger does not know; a second time changes nothing.

    The last erasure is left open: `expunge run` unlearns it. Models are held through the ones
    before, and their debts are paid by that run.
    """
    spec = line.workspace.dataset(dataset)
    with line.lock(dataset) as fence:
        missed = unknown_versions(line, dataset)
        learned = [_learn(line, spec, fence, each) for each in missed]
    return CaughtUp(
        dataset, len(missed), sum(len(people) for people, _ in learned), sum(n for _, n in learned)
    )


def _learn(
    line: Line, spec: DatasetSpec, fence: Fence, found: Recorded
) -> tuple[Sequence[str], int]:
    """Record one version; the people erased in it, and for how many a request was filed."""
    line.progress("catch-up", f"version {found.md5[:10]}, published {found.at:%Y-%m-%d %H:%M} UTC")
    kind, _, rest = found.key.partition(":")
    with line.registry.passing() as folder:
        after = _restored(line, spec, found.md5, folder)
        if kind == "ingest":
            held = summary(after.store(spec))
            number = int(rest.rpartition(":")[2])
            line.ledger.record_ingest(
                fence, dataset=spec.name, md5=found.md5, commit=found.commit,
                ingest=number, rows=held.rows, shards=held.shards,
            )  # fmt: skip
            return (), 0
        before = _restored(line, spec, line.current_version(spec.name).md5, folder)
        people = _gone(before.store(spec), after.store(spec))
        _let_go(line, fence, unless=rest)
        filed = _file(line, spec.name, found, rest, people)
        now = champions(line, spec.name)
        line.ledger.reclaim(fence, rest, champions=now, subject_ids=people)
        _replay(rest, fence, before, after)
        return people, filed


def _restored(line: Line, spec: DatasetSpec, md5: str, folder: Path) -> Line:
    """The line over a past version, which is laid out below a passing folder."""
    return replace(line, past=checkout(line.workspace.root, spec.name, md5, folder / md5))


def _gone(before: Store, after: Store) -> list[str]:
    """Ids of the people of one version who are not in the next, shard by shard."""
    gone: list[str] = []
    for number in before.numbers:
        paths = before.shard_path(number), after.shard_path(number)
        if not after.has(number) or not filecmp.cmp(*paths, shallow=False):
            left = subjects_of_shard(after, number)
            gone += sorted(set(subjects_of_shard(before, number)).difference(left))
    return gone


def _let_go(line: Line, fence: Fence, *, unless: str) -> None:
    """End the batch that is open, so that the next one can be made again."""
    batch = line.ledger.open_batch(fence.dataset)
    if batch is None or batch.id == unless:
        return
    if batch.state != "published":
        line.ledger.fail(fence, batch.id, "the ledger was restored from a backup")
        return
    for model in models_to_settle(line, batch.id):
        base = batch.champions.get(model) or line.registry.champion(model) or "none"
        first = Attempt(batch.id, model, base, 0)
        hold(line, batch.id, fence, first, "the ledger was restored from a backup")
    line.ledger.finish(fence, batch.id)


def _file(line: Line, dataset: str, found: Recorded, batch_id: str, people: Sequence[str]) -> int:
    """File a request for each person who has none that is pending."""
    reference = line.workspace.keys.reference()
    filings = [
        Filing(SOURCE, f"{batch_id}:{reference.ref(each)}", each, "gdpr", found.at, (dataset,))
        for each in line.ledger.unasked(dataset, people)
    ]
    return sum(each.outcome == "accepted" for each in line.ledger.file(filings))


def _replay(batch_id: str, fence: Fence, before: Line, after: Line) -> None:
    """Bring the batch to where it was published; each station finds what it wrote, if it did."""
    look_into(before, batch_id, fence, may_wait=False)
    stage(before, batch_id, fence)
    validate(before, batch_id, fence)
    publish(after, batch_id, fence)
