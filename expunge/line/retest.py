"""Retest: are people whom an earlier batch erased still forgotten, after one more edit?

The batches that a model's lineage forgot since its last exact version are tested again with each
further candidate: on their sealed rows, for as long as the dataset's `retest_days` lets them be
read; and by the digests that were kept, which tell whether the content of an erased row stands in
the training data once more. The first is judged by the gate, the second is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from expunge.dataset import ArrowRows, ShardError, Where, forget_rows
from expunge.evaluation import EvaluationInput, Metric, SplitScores
from expunge.evaluation.earlier import Kept, earlier_aucs, rows_back, untested
from expunge.keys import KeyMissingError
from expunge.line.attempt import Attempt, seed_of
from expunge.line.context import Line
from expunge.line.edits import Edit, earlier_edits
from expunge.line.kept import content_key, kept_of, last_known
from expunge.requests import Fence

if TYPE_CHECKING:
    from expunge.line.evaluate import Splits


@dataclass(frozen=True)
class Retested:
    """What an evaluation says of earlier batches; `found` is the `earlier` of its outcome."""

    metrics: tuple[Metric, ...] = ()
    notes: tuple[str, ...] = ()
    found: Mapping[str, Any] | None = None


def earlier_facts(
    line: Line, fence: Fence, attempt: Attempt, rows: Splits
) -> Mapping[str, Any] | None:
    """What holds of the earlier batches whichever rung is tried, found at most once; None if none.

    `rows` with kept digests, `rows_back` of them in the training data of now, of which
    `rows_copied` stood there under others when they were erased; which batches are `tested_again`,
    which are `not_tested`, and why; whether the inputs alone tell tested from held-out rows.
    """
    edits = earlier_edits(line, attempt)
    if not any(edit.batches for edit in edits):
        return None
    part = f"{attempt.model}/{attempt.base}/earlier"
    with line.station(attempt.batch_id, "evaluate", fence, part) as outcome:
        if outcome is not None:
            line.progress("evaluate", f"{attempt.model}: are earlier batches still forgotten?")
            outcome.update(_facts(line, attempt, edits, rows))
    found = dict(line.found(attempt.batch_id, "evaluate", part))
    found.pop("seconds")
    return found


def retest(
    line: Line,
    attempt: Attempt,
    facts: Mapping[str, Any] | None,
    inputs: EvaluationInput,
    scored: Callable[[ArrowRows], SplitScores],
) -> Retested:
    """Measure the attempt's candidate on the earlier batches, beside `inputs` of its own.

    An exact candidate is not measured: it was not trained on any of these rows.
    """
    if facts is None:
        return Retested()
    edits = earlier_edits(line, attempt)
    metrics = () if attempt.exact(line) else _metrics(line, attempt, facts, inputs, scored)
    last = [last_known(line, attempt.model, e, attempt.base, inputs.held_out) for e in edits]
    return Retested(metrics, _notes(facts), {**facts, "last_known": last})


def _metrics(
    line: Line,
    attempt: Attempt,
    facts: Mapping[str, Any],
    inputs: EvaluationInput,
    scored: Callable[[ArrowRows], SplitScores],
) -> tuple[Metric, ...]:
    if not facts["tested_again"]:
        return untested("; ".join(dict.fromkeys(each["why"] for each in facts["not_tested"])))
    if facts["blind"]["distribution_differs"]:
        return untested(facts["blind"]["words"].rstrip("."))
    sealed, _ = sealed_rows(line, attempt, earlier_edits(line, attempt))
    if {*sealed} != {*facts["tested_again"]}:
        return untested("rows that could be read when this batch was first evaluated are gone")
    again = replace(inputs, forget=scored(_pooled(line, attempt, sealed)))
    return earlier_aucs(again, seed=seed_of(attempt.batch_id))


def _facts(line: Line, attempt: Attempt, edits: tuple[Edit, ...], rows: Splits) -> dict[str, Any]:
    from expunge.evaluation.blind import blind_classifier

    kept = [(edit, kept_of(line, attempt.model, edit)) for edit in edits]
    known = [(edit, found) for edit, found in kept if found is not None]
    sealed, closed = sealed_rows(line, attempt, edits)
    blind = None
    if sealed:
        tested = _pooled(line, attempt, sealed)
        blind = blind_classifier(tested, rows.held_out, seed=rows.seed).to_json()
    return {
        "batches": [batch for edit in edits for batch in edit.batches],
        "rows": sum(len(found) for _, found in known),
        "rows_back": _rows_back(line, attempt, [found for _, found in known], rows.retain),
        "rows_copied": sum(_copied(line, attempt.model, edit) for edit, _ in known),
        "without_digests": [b for edit, found in kept if found is None for b in edit.batches],
        "tested_again": [*sealed],
        "not_tested": [{"batch": batch, "why": why} for batch, why in closed.items()],
        "blind": blind,
    }


def _rows_back(line: Line, attempt: Attempt, kept: list[Kept], retain: ArrowRows) -> int | None:
    """How many kept rows stand in the training data; None where there is no digest to look for."""
    if not kept:
        return None
    digests = np.concatenate([each.digests for each in kept])
    return rows_back(digests, retain, content_key(line, attempt.spec(line).dataset))


def _copied(line: Line, model: str, edit: Edit) -> int:
    """Rows of an edit that other people held as well when they were erased."""
    part = f"{model}/{edit.parent}/request"
    found = line.ledger.outcome(edit.batch_id, "evaluate", part)
    return int(found["duplicates"]["exact"]) if found else 0


def sealed_rows(
    line: Line, attempt: Attempt, edits: Collection[Edit]
) -> tuple[dict[str, ArrowRows], dict[str, str]]:
    """Training rows of the earlier batches that may be read today; why the others may not."""
    dataset = line.workspace.dataset(attempt.spec(line).dataset)
    erased = {v.batch_id: v.created_at for v in line.ledger.versions(dataset.name)}
    found: dict[str, ArrowRows] = {}
    closed: dict[str, str] = {}
    for batch, seen in [(batch, edit.ingest_seen) for edit in edits for batch in edit.batches]:
        path = line.sealed(batch)
        if why := _closed(path, dataset.retest_days, erased[batch]):
            closed[batch] = why
            continue
        try:
            rows = forget_rows(
                dataset, line.workspace.keys, {batch: path}, where=Where(max_ingest=seen)
            )
        except (KeyMissingError, ShardError) as error:
            closed[batch] = error.what.rstrip(".")
            continue
        if len(rows):
            found[batch] = rows
        else:
            closed[batch] = "the model had seen none of its rows"
    return found, closed


def _closed(path: Path, days: int, erased: datetime) -> str | None:
    """Why sealed rows are not to be read today, or None."""
    if days == 0:
        return "the dataset's retest_days is 0, so that sealed rows are not read again"
    if datetime.now(UTC) - erased > timedelta(days=days):
        return f"erased more than {days} days ago, the dataset's retest_days"
    return None if path.exists() else "its sealed rows are gone"


def _pooled(line: Line, attempt: Attempt, rows: Mapping[str, ArrowRows]) -> ArrowRows:
    batches = tuple(batch for each in rows.values() for batch in each.batches)
    shape = line.workspace.dataset(attempt.spec(line).dataset).features.input_shape
    return ArrowRows(batches, shape)


def _notes(facts: Mapping[str, Any]) -> tuple[str, ...]:
    """What the report says of the earlier batches, beside the metrics."""
    total, tested = len(facts["batches"]), len(facts["tested_again"])
    told = f"{tested} of the" if tested else "None of the"
    notes = [f"{told} {total} batch(es) that this model forgot by earlier edits: scored again."]
    if not tested:
        notes = [
            f"{told} {total} batch(es) that this model forgot by earlier edits could be scored "
            f"again: {facts['not_tested'][0]['why']}."
        ]
    if facts["rows_back"] is not None:
        copied = f" ({facts['rows_copied']} stood there when they were erased)"
        notes.append(
            f"Of {facts['rows']} rows forgotten earlier {facts['rows_back']} stand in the training "
            f"data, under whatever person{copied if facts['rows_copied'] else ''}."
        )
    return tuple(notes)
