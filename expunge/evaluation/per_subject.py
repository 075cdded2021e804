"""Does the model still know one person, though it has forgotten the group?

Each person's hard rows are ranked among held-out people's rows of the same class; the mean rank is
the person's AUC. People whom no model trained on spread around ½ as well, because people differ;
how much is measured on the held-out people, each against the others (leave-subject-out). With n
rows a stranger's AUC has variance 1/(12n) + τ²: uniform ranks, and τ between people.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from expunge.evaluation.membership import Population
from expunge.evaluation.metric import WorstSubject
from expunge.evaluation.scores import Codes, Floats, Scores
from expunge.evaluation.uncertainty import dense_codes

MIN_SUBJECTS = 20


@dataclass(frozen=True, eq=False)
class PeopleAucs:
    """AUC [m] of m people, NaN for whom nothing can be compared, and the rows [m] behind it."""

    auc: Floats
    rows: Floats


def class_ranks(scores: Floats, labels: Codes, others: Floats, other_labels: Codes) -> Floats:
    """How many others of its class each row [N] beats, ties half."""
    beaten: Floats = np.zeros(len(scores))
    for label in np.unique(labels):
        mine, theirs = labels == label, np.sort(others[other_labels == label])
        low = np.searchsorted(theirs, scores[mine], side="left")
        beaten[mine] = (low + np.searchsorted(theirs, scores[mine], side="right")) / 2
    return beaten


def people_aucs(
    side: tuple[Floats, Codes, Codes], others: tuple[Floats, Codes], *, among: bool = False
) -> PeopleAucs:
    """Each person of `side` (scores, labels, subjects) against `others` (scores, labels).

    `among`: the side is part of the others, and a person's own rows do not count against it. Own
    rows beat each other n²/2 times in all, whatever the scores.
    """
    scores, labels, subjects = side
    people, m = dense_codes(subjects)
    classes, dense = np.unique(labels, return_inverse=True)
    pairs, pair_of = np.unique(people * len(classes) + dense, return_inverse=True)
    counts = class_ranks(scores, labels, *others)
    beaten = np.bincount(pair_of, counts, minlength=len(pairs)).astype(np.float64)
    mine = np.bincount(pair_of, minlength=len(pairs)).astype(np.float64)
    person, label = np.divmod(pairs, len(classes))
    theirs = np.array([np.count_nonzero(others[1] == each) for each in classes])[label]
    if among:
        beaten, theirs = beaten - mine**2 / 2, theirs - mine
    ok = theirs > 0
    rows = np.bincount(person[ok], mine[ok], minlength=m).astype(np.float64)
    sums = np.bincount(person[ok], beaten[ok] / theirs[ok], minlength=m)
    with np.errstate(invalid="ignore"):  # 0 / 0: nobody to compare with
        return PeopleAucs(sums / rows, rows)


def between_people(strangers: PeopleAucs) -> float:
    """τ²: variance of AUC between people nobody trained on, beyond that of uniform ranks."""
    seen = strangers.rows > 0
    auc, rows = strangers.auc[seen], strangers.rows[seen]
    excess = rows * (auc - 0.5) ** 2 - 1 / 12
    return max(0.0, float(excess.sum() / rows.sum())) if len(rows) else math.nan


def stranger_variance(rows: Floats, tau2: float) -> Floats:
    """Variance [m] of the AUC of people with these many rows whom no model trained on."""
    return np.asarray(1 / (12 * np.maximum(rows, 1)) + tau2)


def held_out_people(population: Population, held_out: Scores) -> PeopleAucs:
    """Every held-out person against the others (leave-subject-out)."""
    scores = held_out.margin[population.held_out]
    labels = population.held_out_labels
    side = (scores, labels, population.held_out_subjects)
    return people_aucs(side, (scores, labels), among=True)


def worst_subject(
    population: Population, forget: Scores, held_out: Scores, *, asked: int
) -> WorstSubject:
    """The forgotten person who stands out most among strangers; `asked`: people in the request."""
    strangers = held_out_people(population, held_out)
    known = int(np.count_nonzero(strangers.rows))
    others = held_out.margin[population.held_out], population.held_out_labels
    scores = forget.margin[population.forget]
    side = (scores, population.forget_labels, population.forget_subjects)
    mine = people_aucs(side, others)
    seen = np.flatnonzero(mine.rows)
    if known < MIN_SUBJECTS or not len(seen):
        why = f"{known} held-out people to compare with, {MIN_SUBJECTS} needed"
        why = why if known < MIN_SUBJECTS else "no forgotten person has a hard row"
        nan = math.nan
        return WorstSubject(nan, nan, nan, len(seen), asked - len(seen), known, undefined=why)
    spread = np.sqrt(stranger_variance(mine.rows[seen], between_people(strangers)))
    standard = (mine.auc[seen] - 0.5) / spread
    worst = int(standard.argmax())
    # Holm's step-down multiplies the smallest p by the number of people.
    p = min(1.0, len(seen) * float(stats.t.sf(standard[worst], known - 1)))
    return WorstSubject(
        auc=float(mine.auc[seen][worst]),
        score=float(standard[worst]),
        p_holm=p,
        subjects=len(seen),
        unscored=asked - len(seen),
        held_out_subjects=known,
    )
