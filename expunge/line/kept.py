"""Kept: what stays of the rows that an edit forgot, for as long as the edited model may serve.

One file for each promoted edit, `earlier/MODEL/BATCH.npz` in the private state: scores and keyed
digests, no input and no id (`evaluation/earlier.py`). It outlives the batch's sealed rows, which a
purge destroys, and goes once no version that may serve comes from the edit.
"""

from __future__ import annotations

import hmac
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expunge.evaluation import Evaluation, EvaluationError, SplitScores
from expunge.evaluation.earlier import Kept, content_digests, kept_auc, load_kept, save_kept
from expunge.line.attempt import Attempt
from expunge.line.context import Line
from expunge.line.edits import Edit
from expunge.line.qualification import lineage

if TYPE_CHECKING:
    from expunge.dataset import ArrowRows
    from expunge.evaluation import Scores
    from expunge.evaluation.scores import Floats

_PURPOSE = b"expunge: content of rows that an edit forgot"


def keep(
    line: Line, attempt: Attempt, rows: ArrowRows, scores: Scores, reference_margin: Floats
) -> None:
    """Write the attempt's forget rows down: scores under its candidate, keyed digests."""
    key = content_key(line, attempt.spec(line).dataset)
    kept = Kept.of(scores, reference_margin, content_digests(rows, key))
    save_kept(_path(line, attempt.model, attempt.batch_id), kept)


def kept_of(line: Line, model: str, edit: Edit) -> Kept | None:
    """What was kept of an edit's rows; None where nothing can be read."""
    try:
        return load_kept(_path(line, model, edit.batch_id))
    except EvaluationError:
        return None


def content_key(line: Line, dataset: str) -> bytes:
    """The key of content digests, 32 bytes: derived from the dataset's placement key."""
    return hmac.digest(line.workspace.keys.placement(dataset), _PURPOSE, "sha256")


def last_known(line: Line, model: str, edit: Edit, champion: str, held_out: SplitScores) -> Any:
    """Hard-row AUC of an edit's rows under the version it made, as a JSON object.

    Where that is the champion, from the kept scores and the held-out rows of now; else as it was
    measured when the version was promoted.
    """
    kept = kept_of(line, model, edit) if edit.version == champion else None
    if kept is not None and held_out.reference_margin is not None:
        source, value = "kept scores", kept_auc(kept, held_out.champion, held_out.reference_margin)
    else:
        source, value = "evaluation of that batch", _measured_then(line, model, edit)
    return {
        "version": edit.version,
        "batches": list(edit.batches),
        "hard_row_auc": None if math.isnan(value) else value,
        "source": source,
    }


def _measured_then(line: Line, model: str, edit: Edit) -> float:
    for part in line.ledger.parts(edit.batch_id, "promote"):
        found = line.ledger.outcome(edit.batch_id, "evaluate", part)
        if part.startswith(f"{model}/{edit.parent}/") and found and found["evaluation"]:
            return Evaluation.from_json(found["evaluation"]).metric("hard_row_auc").value
    return math.nan


def prune(line: Line, dataset: str) -> None:
    """Remove what was kept of edits that no version which may serve, or is champion, comes from."""
    for spec in line.workspace.models(dataset):
        files = {path.stem: path for path in _folder(line, spec.name).glob("*.npz")}
        for batch in {*files} - _needed(line, spec.name, {*files}):
            files[batch].unlink(missing_ok=True)


def _needed(line: Line, model: str, batches: set[str]) -> set[str]:
    """Those of the batches whose edit is behind a version that may serve."""
    champion = line.ledger.champion(model)
    needed: set[str] = set()
    for made in reversed(line.ledger.model_versions(model)):
        if batches <= needed:
            break
        behind = {each.batch_id for each in lineage(line, model, made.version)} & batches
        serves = champion is not None and made.version == champion.version
        if behind - needed and (serves or line.ledger.may_serve(model, made.version)):
            needed |= {str(batch) for batch in behind}
    return needed


def _folder(line: Line, model: str) -> Path:
    return line.workspace.state("earlier", model)


def _path(line: Line, model: str, batch_id: str) -> Path:
    return _folder(line, model) / f"{batch_id}.npz"
