"""What people look at first of a candidate: figures drawn from the scores that evaluate kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from expunge.evaluation import Evaluation, roc_curve
from expunge.evaluation.membership import comparable, hard_rows
from expunge.evaluation.metric import LEVELS
from expunge.line.attempt import Attempt, seed_of
from expunge.line.context import Line
from expunge.line.evaluate import GRID, SCORES, load_grid, load_margin, load_scores
from expunge.lineage import plots

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

    from expunge.evaluation.membership import TwoSides

_REFERENCES = {
    "exact_retrain": "exact retrain",
    "class_matched": "people never seen, labels matched",
    "leave_subject_out": "people never seen",
    "zero": "a class never seen",
}
_MARGIN = {
    "classification": "margin of the true class (log odds); left of 0 the model is wrong",
    "regression": "minus the absolute error, in units of the label; 0 is right",
}


def pictures(
    line: Line, attempt: Attempt, evaluation: Evaluation, unlearned: Any
) -> dict[str, Figure]:
    """Figures by file name."""
    from expunge.unlearning import Edit

    folder = attempt.folder(line)
    champion, candidate = (_sides(folder / SCORES, model) for model in ("champion", "candidate"))
    edit = Edit.from_json(unlearned["edit"])
    drawn = {
        "scores.png": plots.score_distributions(
            _margins(champion, evaluation, "_before"),
            _margins(candidate, evaluation, ""),
            margin=_MARGIN[evaluation.task],
        ),
        f"{LEVELS[evaluation.task]}.png": _level_bars(evaluation),
        "sparsity.png": plots.sparsity_by_layer(edit.per_tensor),
    }
    if not evaluation.metric("ud").undefined:
        drawn["degree.png"] = _degree(evaluation)
    if roc := _roc(evaluation, (champion, candidate), folder, seed_of(attempt.batch_id)):
        drawn["roc.png"] = roc
    if (folder / GRID).exists():
        drawn["perturbed.png"] = plots.perturbation_grid(load_grid(folder / GRID))
    return drawn


def _sides(path: Path, model: str) -> TwoSides:
    return load_scores(path, "forget", model), load_scores(path, "held_out", model)


def _margins(sides: TwoSides, evaluation: Evaluation, when: str) -> plots.MarginPair:
    auc, hard = (evaluation.metric(f"{name}{when}").value for name in ("auc", "hard_row_auc"))
    return plots.MarginPair(sides[0].margin, sides[1].margin, auc, hard)


def _roc(
    evaluation: Evaluation, models: tuple[TwoSides, TwoSides], folder: Path, seed: int
) -> Figure | None:
    """The attack by margin on the hard rows, which the gate judges; None where there are none."""
    forget, held_out = (load_margin(folder / SCORES, split) for split in ("forget", "held_out"))
    rows = comparable(*models[0], hard_rows(forget, held_out, evaluation.task))
    if rows.empty:
        return None
    before, after = (
        plots.Attack(roc_curve(rows, sides, seed=seed), evaluation.metric(name))
        for sides, name in zip(models, ("hard_row_auc_before", "hard_row_auc"), strict=True)
    )
    return plots.attack_roc(before, after, held_out_rows=len(rows.held_out), rows="hard rows")


def _degree(evaluation: Evaluation) -> Figure:
    return plots.unlearning_degree(
        evaluation.metric("ud"),
        unseen=evaluation.metric("ud_control"),
        sign_noise=evaluation.metric("ud_sign_noise"),
        calibrated=evaluation.metric("ud_calibrated"),
        normalised=evaluation.metric("nud"),
    )


def _level_bars(evaluation: Evaluation) -> Figure:
    splits = []
    for split in ("forget", "retain", "held_out"):
        after = evaluation.level(split)
        before = evaluation.metric(f"{after.name}_before")
        splits.append(
            plots.SplitAccuracy(
                split.replace("_", "-"),
                before.value,
                after.value,
                after.reference,
                (before.low, before.high),
                (after.low, after.high),
            )
        )
    kind = evaluation.level("forget").reference_kind or "none"
    reference = _REFERENCES.get(kind, kind.replace("_", " "))
    return plots.accuracy_bars(splits, reference=reference, task=evaluation.task)
