"""Promote: move the champion alias to the candidate; or hold the model in debt.

The champion that the batch started from is compared with the registry's at promotion. If someone
promoted another one meanwhile, `ChampionMovedError` tells the runner to unlearn that one.
"""

from __future__ import annotations

from datetime import UTC, datetime

from expunge.evaluation import Evaluation
from expunge.line.attempt import Attempt, base_of
from expunge.line.budget import Spent, after_edit
from expunge.line.context import Line
from expunge.line.evaluate import SCORES, forget_split, load_margin, load_scores
from expunge.line.kept import keep
from expunge.line.register import register
from expunge.lineage import Registered
from expunge.requests import Decision, Fence, ModelVersion


def promote(line: Line, batch_id: str, fence: Fence, attempt: Attempt) -> None:
    """Make the attempt's candidate the champion and settle what the model owed."""
    with line.station(batch_id, "promote", fence, attempt.part) as outcome:
        if outcome is None:
            return
        registered = register(line, fence, attempt)
        line.registry.set_candidate(attempt.model, registered.version)
        made = line.ledger.record_model(fence, _record(line, attempt, registered))
        _move_alias(line, fence, attempt, made.version)
        _keep(line, attempt)  # before it is settled: a run that goes on begins here again
        decision: Decision = "retrained" if made.kind == "retrained" else "promoted"
        line.ledger.settle(fence, batch_id, attempt.model, decision=decision, version=made.version)
        outcome |= {"version_before": attempt.base, "version_after": registered.version}
        line.progress("promote", f"{attempt.model}: version {registered.version} is champion")


def hold(line: Line, batch_id: str, fence: Fence, first: Attempt, why: str = "") -> None:
    """The attempt's model keeps its debt, and serves on or is withdrawn as its spec says.

    `why` where a candidate passed and was not to be promoted; else no rung passed.
    """
    model = first.model
    with line.station(batch_id, "hold", fence, f"{model}/{first.base}") as outcome:
        if outcome is None:
            return
        policy = line.workspace.model(model).while_held
        if policy == "withdraw":
            line.registry.withdraw(model)
        line.ledger.settle(fence, batch_id, model, decision="held", version=None)
        outcome |= {"while_held": policy, "why": why}
        line.progress("promote", f"{model}: held, in debt")


def _record(line: Line, attempt: Attempt, registered: Registered) -> ModelVersion:
    """The new version as the ledger knows it: clean as of the current dataset version."""
    version = line.current_version(attempt.spec(line).dataset)
    base = base_of(line, attempt.model, attempt.base)
    exact = attempt.exact(line)
    spent = Spent(0, 0.0, 0.0) if exact else _spent(line, attempt, base)
    return ModelVersion(
        model=attempt.model,
        version=registered.version,
        dataset=version.dataset,
        dataset_ordinal=version.ordinal,
        ingest_seen=version.ingest,
        clean_as_of=version.ordinal,
        kind="retrained" if exact else "unlearned",
        parent=attempt.base,
        batch_id=attempt.batch_id,
        run_id=registered.run_id,
        strategy=attempt.strategy(line),
        edits=spent.edits,
        created_at=datetime.now(UTC),
        held_out_loss=spent.held_out_loss,
        hard_row_excess=spent.hard_row_auc,
    )


def _spent(line: Line, attempt: Attempt, base: ModelVersion) -> Spent:
    measured = line.found(attempt.batch_id, "evaluate", attempt.part)["evaluation"]
    return after_edit(base, Evaluation.from_json(measured), attempt.spec(line).gate)


def _keep(line: Line, attempt: Attempt) -> None:
    """What later batches need to test this one again; an exact model starts anew."""
    if attempt.exact(line):
        return
    path = attempt.folder(line) / SCORES
    scores, margin = load_scores(path, "forget", "candidate"), load_margin(path, "forget")
    keep(line, attempt, forget_split(line, attempt), scores, margin)


def _move_alias(line: Line, fence: Fence, attempt: Attempt, version: str) -> None:
    key = f"promote:{attempt.batch_id}:{attempt.part}"
    detail = {"model": attempt.model, "from": attempt.base, "to": version}
    line.ledger.intend(fence, key, "promote", detail, batch_id=attempt.batch_id)
    line.ledger.check(fence)
    line.registry.promote(attempt.model, version, attempt.base)
    line.ledger.complete(fence, key, {"champion": version})
    line.ledger.record_promotion(fence, attempt.model, version)
