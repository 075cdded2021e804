"""How a report says things: one sentence for a decision, a title for every metric and criterion."""

from __future__ import annotations

from collections.abc import Mapping

from expunge.report.value import MeasuredRow, ModelPart, Report, RungPart
from expunge.requests import Approval

METRICS: Mapping[str, tuple[str, str]] = {
    "hard_row_auc": ("AUC on hard rows", "can an attacker tell hard forgotten rows from unseen?"),
    "auc": ("AUC on all rows", "the same on every row; easy rows hide memory"),
    "lira_auc": ("LiRA AUC", "the same by shadow models, the strongest attack"),
    "forget_accuracy": ("accuracy on forgotten rows", "should fall to that of unseen rows"),
    "forget_error": (
        "mean absolute error on forgotten rows",
        "in units of the label; should rise to that of unseen rows",
    ),
    "forgetting_rate": ("forgetting rate", "share of the retrain's drop that is reached; 1 is all"),
    "probe_hard_row_auc": ("AUC of a fresh probe", "what the frozen features still tell"),
    "relearn_ratio": ("relearning", "how fast the rows come back, against a retrain"),
    "js_gap": ("divergence from the retrain", "0 is none"),
    "leak": ("leak", "against the same pipeline with nothing to forget"),
    "generalisation": (
        "change on held-out rows",
        "accuracy lost or won on people nobody trained on",
    ),
    "relative_generalisation": (
        "change on held-out rows",
        "share of the champion's error saved (+) or added (−) on people nobody trained on",
    ),
    "held_out_error": ("mean absolute error on held-out rows", "people nobody trained on"),
    "retain_error": ("mean absolute error on retained rows", "people who stay; a sample"),
    "held_out_accuracy": ("accuracy on held-out rows", "people nobody trained on"),
    "retain_accuracy": ("accuracy on retained rows", "people who stay; a sample"),
    "memory_retention_rate": ("memory retention", "what is kept of retained rows; 1 is all"),
    "nud": ("nUD", "unlearning degree, the retrain's being 1"),
    "ud": ("UD", "unlearning degree: loss on perturbed forgotten rows"),
    "ud_calibrated": ("calibrated UD", "less what perturbed held-out rows lose"),
    "ud_control": ("control UD", "the same on held-out rows"),
    "ud_sign_noise": ("UD by sign noise", "the control with plain noise of the same size"),
    "ud_sign_noise_calibrated": ("calibrated UD by sign noise", "less that of held-out rows"),
}
"""Titles, with what to make of the number; in the order in which a report shows them."""

COST = (
    "generalisation",
    "relative_generalisation",
    "held_out_accuracy",
    "held_out_error",
    "retain_accuracy",
    "retain_error",
    "memory_retention_rate",
)
CRITERIA: Mapping[str, tuple[str, str]] = {
    "forgetting": ("Forgetting", "does it still know the forgotten rows?"),
    "over_forgetting": ("Over-forgetting", "does it shun them, so that their absence shows?"),
    "each_person": ("Each person", "does one person stand out?"),
    "held_out": ("Held-out rows", "what did forgetting cost everyone else?"),
    "earlier": ("Earlier batches", "does it know people of earlier batches again?"),
}
REFERENCES: Mapping[str | None, str] = {
    "exact_retrain": "exact retrain",
    "class_matched": "held-out rows of like labels",
    "leave_subject_out": "people never seen",
    "zero": "a class never seen",
    "half": "a coin",
    None: "",
}
REQUESTS: Mapping[str, str] = {
    "rows": "single rows",
    "subjects": "whole people",
    "class": "a whole class",
}
STATES: Mapping[str, str] = {
    "completed": "completed",
    "erased_model_pending": "erased from the data, a model still owes",
    "no_match": "about people who are not in the dataset",
    "already_erased": "about people erased before",
    "blocked": "blocked: an operator has to confirm",
    "pending": "waiting for the next batch",
    "claimed": "in work",
}


def decision(model: ModelPart) -> str:
    """What became of a model, in one sentence."""
    tried = len(model.rungs)
    if model.waiting is not None:
        return (
            f"{model.name}: version {model.waiting.version} passed the gate and waits for "
            f"approval until {model.waiting.expires_at:%Y-%m-%d %H:%M} UTC; version "
            f"{model.version_before} serves."
        )
    if model.decision is None:
        return f"{model.name}: not decided yet."
    if model.decision == "held":
        serving = "is withdrawn" if model.while_held == "withdraw" else "serves on"
        return (
            f"{model.name} is held: {model.why or _none_of(tried)}, so version "
            f"{model.version_before} {serving} and keeps its debt until the next batch or training "
            "pays it."
        )
    if model.promoted is None:
        return (
            f"{model.name}: version {model.version_after} serves, which holds none of the erased "
            "rows, and no rung of this batch made it."
        )
    how = "retrained from scratch" if model.promoted.exact else f"made by {model.promoted.strategy}"
    return (
        f"{model.name}: version {model.version_after}, {how}, {_grounds(model)} and replaces "
        f"version {model.version_before}{_refused(tried - 1)}."
    )


def decisions(report: Report) -> tuple[str, ...]:
    """One sentence for each model, or one for the batch where there is no model to decide on."""
    if report.state in ("failed", "postponed"):
        return (f"The batch {report.state}, and nothing was changed: {report.reason}.",)
    if not report.over:
        return (f"The batch is under way: {report.state}.", *map(decision, _told(report)))
    if report.erasure is None:
        return ("Nothing was erased: none of the people asked about has rows to erase.",)
    if not report.models:
        return ("No governed model had seen these rows, so none had to forget them.",)
    return tuple(map(decision, report.models))


def answer(asked: Approval) -> str:
    """What a person was asked about a candidate, and answered, in one sentence."""
    what = f"Version {asked.version}, SHA-256 {asked.digest[:12]}…,"
    if asked.decided_by is not None:
        return (
            f"{what} was {asked.state} by {asked.decided_by} on "
            f"{asked.decided_at:%Y-%m-%d %H:%M} UTC: {asked.reason}"
        )
    if asked.state == "waiting":
        return f"{what} waits for approval until {asked.expires_at:%Y-%m-%d %H:%M} UTC."
    return f"{what} was not approved ({asked.state}): {asked.reason}."


def title(name: str) -> str:
    """A metric's title; its name in words where it has none."""
    return METRICS[name][0] if name in METRICS else name.replace("_", " ")


def hint(name: str) -> str:
    """What to make of a metric, or nothing."""
    return METRICS[name][1] if name in METRICS else ""


def shown(rows: tuple[MeasuredRow, ...], *, cost: bool) -> list[MeasuredRow]:
    """The rows that have a value: those about cost, or those about memory; best known first."""
    order = list(METRICS)
    kept = [row for row in rows if not row.metric.undefined and (row.metric.name in COST) == cost]
    return sorted(
        kept,
        key=lambda row: order.index(row.metric.name) if row.metric.name in METRICS else len(order),
    )


def not_measured(rows: tuple[MeasuredRow, ...]) -> dict[str, list[str]]:
    """Why metrics have no value that counts: titles by reason."""
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if row.metric.undefined:
            reasons.setdefault(row.metric.undefined, []).append(title(row.metric.name))
    return reasons


def has_perturbed(rung: RungPart) -> bool:
    """Whether rows were perturbed for a candidate, so that there is a plot of some."""
    return any(row.metric.name == "ud" and not row.metric.undefined for row in rung.measured)


def _told(report: Report) -> list[ModelPart]:
    """Models that something can be said of before the batch is over."""
    return [model for model in report.models if model.decision or model.waiting]


def _grounds(model: ModelPart) -> str:
    promoted = model.promoted
    if promoted is not None and promoted.qualification is not None:
        return (
            f"is let through by audit record {promoted.qualification} (its own rows do not decide)"
        )
    return "passed the gate"


def _refused(count: int) -> str:
    """Those before it: failed, inconclusive or diverged."""
    if count < 1:
        return ""
    return f", after {count} candidate{'s' * (count > 1)} that did not pass"


def _none_of(tried: int) -> str:
    if tried == 0:
        return "it has no champion to unlearn"
    return "the one candidate did not pass" if tried == 1 else f"none of {tried} candidates passed"
