"""Approve: where the spec says so, a person's yes stands between the gate and the champion alias.

The question and its answer live in the ledger, and a run that has to wait ends: nothing is kept
open that a SIGKILL or a lost server could take away. The next run of the batch, whoever starts it,
reads the answer and goes on. Silence never promotes: a question that nobody answers within the
spec's hours expires, as it does once other people's deadlines come near, since one batch of a
dataset is open at a time. Then, as after a no, the model is held and keeps its debt.

What is approved is one candidate, by the digest of its registered files, in place of one champion.
Where either is not what it was, the approval is void.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from expunge.line.attempt import Attempt, models_to_settle
from expunge.line.context import Line
from expunge.line.register import register
from expunge.lineage import ChampionMovedError
from expunge.lineage.batch_runs import BatchRuns
from expunge.requests import Approval, Backlog, Batch, Fence


@dataclass(frozen=True)
class Answer:
    """Whether the candidate may be promoted; None while nobody has said. `why` where it may not."""

    may: bool | None
    why: str = ""


@dataclass(frozen=True)
class Asked:
    """A question as it is put to people; `link` opens the candidate on an MLflow server."""

    approval: Approval
    dataset: str
    link: str | None


def approve(
    line: Line,
    batch_id: str,
    fence: Fence,
    attempt: Attempt,
    tell: Callable[[Asked], None] | None = None,
) -> Answer:
    """The answer as of now; the question is put, and `tell` told of it, where it was not yet.

    Raises:
        ChampionMovedError: another version serves than the one that the candidate replaces.
    """
    gate = attempt.spec(line).gate
    found = line.ledger.approval(batch_id, attempt.part)
    if gate.approval == "none" and found is None:
        return Answer(may=True)
    if found is None:
        found = _ask(line, fence, attempt, tell)
    if found.state in ("waiting", "approved"):
        _same_champion(line, fence, found)
    if found.state == "waiting" and (reason := _over(line, found, fence.dataset)):
        found = line.ledger.close_approval(fence, found, "expired", reason)
    if found.state == "approved" and not _same_files(line, found):
        reason = f"the files of version {found.version} are not those that were approved"
        found = line.ledger.close_approval(fence, found, "void", reason)
    line.progress("approve", f"{attempt.model}: version {found.version} is {found.state}")
    return _answer(found)


def only_waits(line: Line, batch: Batch) -> bool:
    """Whether all that is left of a batch is questions which are open."""
    decided = line.ledger.decisions(batch.id)
    left = {name for name in models_to_settle(line, batch.id) if name not in decided}
    now = datetime.now(UTC)
    asked = line.ledger.approvals(batch.id)
    silent = {each.model for each in asked if each.state == "waiting" and now < each.expires_at}
    return batch.state == "published" and bool(left) and left <= silent


def is_near(line: Line, found: Backlog) -> bool:
    """Whether the deadline of a pending target is as near as the settings call urgent."""
    near = datetime.now(UTC) + timedelta(days=line.workspace.settings.schedule.urgent_days)
    return found.due_at is not None and found.due_at <= near


def why_not(found: Approval) -> str:
    """Why a candidate that passed the gate is not promoted, in words."""
    if found.state == "rejected":
        return f"{found.decided_by} rejected version {found.version}: {found.reason}"
    return f"version {found.version} was not approved: {found.reason}"


def _ask(
    line: Line, fence: Fence, attempt: Attempt, tell: Callable[[Asked], None] | None
) -> Approval:
    """Put the candidate, which was judged from these very weights, to whoever is to say."""
    registered = register(line, fence, attempt)
    attempt.weights(line)  # raises unless they are those that were judged
    now = datetime.now(UTC)
    asked = Approval(
        batch_id=attempt.batch_id,
        part=attempt.part,
        model=attempt.model,
        base=attempt.base,
        version=registered.version,
        digest=line.registry.digest(attempt.model, registered.version),
        asked_at=now,
        expires_at=now + timedelta(hours=attempt.spec(line).gate.approval_hours),
    )
    if tell is not None:  # before it is written down: told at least once
        tell(Asked(asked, fence.dataset, _link(line, asked)))
    return line.ledger.ask_approval(fence, asked)


def _same_champion(line: Line, fence: Fence, found: Approval) -> None:
    """Only the champion that it was made from is replaced; or its own promotion is under way."""
    champion = line.registry.champion(found.model)
    if champion in (found.base, found.version):
        return
    reason = f"version {champion} became champion meanwhile"
    line.ledger.close_approval(fence, found, "void", reason)
    raise ChampionMovedError(
        f"The champion of {found.model!r} is version {champion}, not {found.base}: someone "
        "promoted meanwhile, and the approval is void.",
        left=f"Version {found.version} stays registered, and version {champion} the champion.",
        fix="run the batch again: the new champion is unlearned",
        found=champion,
    )


def _same_files(line: Line, found: Approval) -> bool:
    return line.registry.digest(found.model, found.version) == found.digest


def _over(line: Line, found: Approval, dataset: str) -> str:
    """Why nobody is waited for any longer; empty while the question stays open."""
    if datetime.now(UTC) >= found.expires_at:
        return f"nobody answered until {found.expires_at:%Y-%m-%d %H:%M} UTC"
    if is_near(line, line.ledger.backlog(dataset)):
        return "other people's deadlines are near, and their batch has to begin"
    return ""


def _answer(found: Approval) -> Answer:
    if found.state == "waiting":
        return Answer(may=None)
    return Answer(may=True) if found.state == "approved" else Answer(may=False, why=why_not(found))


def _link(line: Line, asked: Approval) -> str | None:
    pages = BatchRuns.open(line.workspace.settings).pages
    return f"{pages}/#/models/{asked.model}/versions/{asked.version}" if pages else None
