"""Run: one batch of one dataset, station after station.

The order stands here once. Prefect runs the same function with each station wrapped in a task
(`flows/deletion_batch.py`); tests run it bare and kill it where they like.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from expunge.errors import TerminalError
from expunge.line.approve import Answer, approve
from expunge.line.attempt import Attempt, base_of, models_to_settle
from expunge.line.claim import claim
from expunge.line.context import Line
from expunge.line.evaluate import evaluate
from expunge.line.gate import gate
from expunge.line.plan import plan
from expunge.line.promote import hold, promote
from expunge.line.publish import publish
from expunge.line.recover import sweep
from expunge.line.report import BatchReport, batch_report
from expunge.line.reporting import owe_report, owed_reports, report
from expunge.line.stage import stage
from expunge.line.unlearn import unlearn
from expunge.line.validate import validate
from expunge.lineage import ChampionMovedError
from expunge.requests import Decision, Fence

MOVES = 5  # champions promoted by others during one batch, before we give up


def in_turn(models: Sequence[str], one: Callable[[str], bool]) -> bool:
    """Bring each model to a decision; one that cannot be does not keep the others waiting.

    `one` takes a model; it, and so this, is False where a person has to decide first.
    """
    failed: list[TerminalError] = []
    decided = True
    for model in models:
        try:
            decided &= one(model)
        except TerminalError as error:
            failed.append(error)
    if failed:
        raise failed[0]
    return decided


def one_after_the_other(
    line: Line, batch_id: str, fence: Fence, models: Sequence[str], one: Callable[[str], bool]
) -> bool:
    """Every model of a batch, in this process."""
    return in_turn(models, one)


Models = Callable[[Line, str, Fence, Sequence[str], Callable[[str], bool]], bool]
"""Where the models of a batch are gone through: line, batch, fence, models, and how one is."""


@dataclass(frozen=True)
class Stations:
    """The stations of the line, bare or wrapped by an orchestrator."""

    claim: Callable[[Line, str, Fence], str | None] = claim
    stage: Callable[[Line, str, Fence], None] = stage
    validate: Callable[[Line, str, Fence], None] = validate
    publish: Callable[[Line, str, Fence], None] = publish
    models: Models = one_after_the_other
    unlearn: Callable[[Line, str, Fence, Attempt], None] = unlearn
    evaluate: Callable[[Line, str, Fence, Attempt], None] = evaluate
    gate: Callable[[Line, str, Fence, Attempt], bool] = gate
    approve: Callable[[Line, str, Fence, Attempt], Answer] = approve
    promote: Callable[[Line, str, Fence, Attempt], None] = promote
    hold: Callable[[Line, str, Fence, Attempt, str], None] = hold
    report: Callable[[Line, str, Fence], None] = report


def run_batch(line: Line, dataset: str, stations: Stations | None = None) -> BatchReport | None:
    """Run the open batch of `dataset`, or a new one; None if nothing is pending.

    To its end, or to where it has to wait for a person: the next run goes on from there.
    """
    do = stations or Stations()
    with line.lock(dataset) as fence:
        batch_id = do.claim(line, dataset, fence)
        if batch_id is not None:
            owe_report(line, fence, batch_id)
            _erase(line, batch_id, fence, do)
            sweep(line, dataset)
        for owed in owed_reports(line, dataset):
            do.report(line, owed, fence)
        return batch_report(line, batch_id) if batch_id else None


def _erase(line: Line, batch_id: str, fence: Fence, do: Stations) -> None:
    """Take the rows out of the dataset and of every model, where there are any."""
    if line.ledger.batch(batch_id).state == "finished":
        return
    do.stage(line, batch_id, fence)
    do.validate(line, batch_id, fence)
    do.publish(line, batch_id, fence)
    models = models_to_settle(line, batch_id)

    def one(model: str) -> bool:
        return settle(line, batch_id, fence, model, do)

    if do.models(line, batch_id, fence, models, one):
        line.ledger.finish(fence, batch_id)


def settle(line: Line, batch_id: str, fence: Fence, model: str, do: Stations) -> bool:
    """Bring one model to a decision; begin again where someone else moved its champion.

    False where a person has to decide first.
    """
    base = line.ledger.batch(batch_id).champions.get(model)
    for _ in range(MOVES):
        if base is None:
            base = line.registry.champion(model)
        if base is None:
            do.hold(line, batch_id, fence, Attempt(batch_id, model, "none", 0), "")
            return True
        known = base_of(line, model, base)
        if line.ledger.may_serve(model, base):
            line.ledger.record_promotion(fence, model, base)
            decision: Decision = "promoted" if known.kind == "unlearned" else "retrained"
            line.ledger.settle(fence, batch_id, model, decision=decision, version=base)
            return True
        try:
            return _climb(line, fence, Attempt(batch_id, model, base, 0), do)
        except ChampionMovedError as moved:
            base = moved.found
            line.progress("promote", f"{model}: champion moved to {base}; unlearning that")
    raise TerminalError(
        f"The champion of {model!r} was changed by others {MOVES} times during batch {batch_id}.",
        left="The dataset is erased; the model keeps its debt.",
        fix="stop what promotes it, then `expunge run` goes on",
    )


def _climb(line: Line, fence: Fence, first: Attempt, do: Stations) -> bool:
    """Try the planned rungs until one may be promoted; hold the model if none may.

    False where a person has to decide first.
    """
    batch_id, why = first.batch_id, ""
    for rung in plan(line, fence, first):
        attempt = replace(first, rung=rung)
        do.unlearn(line, batch_id, fence, attempt)
        do.evaluate(line, batch_id, fence, attempt)
        if do.gate(line, batch_id, fence, attempt):
            answer = do.approve(line, batch_id, fence, attempt)
            if answer.may:
                do.promote(line, batch_id, fence, attempt)
            if answer.may is not False:
                return answer.may is not None
            why = answer.why
            break
    do.hold(line, batch_id, fence, first, why)
    return True
