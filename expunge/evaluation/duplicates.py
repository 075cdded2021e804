"""Are forgotten rows still there, in another person's name?

A row whose near copy another person keeps cannot be forgotten, and a membership metric calls that
memory. Copies are looked for twice: by content hash of the input's bytes, and by nearest neighbour
among other people's rows, in the features of a reference model or in the inputs themselves. What
counts as near is read off people who have nothing to do with the request: the distance from
held-out rows to the same other people's rows, of which one in a hundred is as near by chance.

Results are counts and distances, never rows and never people.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from scipy import stats

from expunge.evaluation.blind import read_inputs
from expunge.evaluation.metric import json_ready
from expunge.evaluation.rates import sample_rows
from expunge.evaluation.scores import Codes, Floats

BY_CHANCE = 0.01
CALIBRATION_ROWS = 2_000
_CHUNK = 2_048
_QUANTILES = (0.01, 0.05, 0.25, 0.5)


@dataclass(frozen=True)
class Duplicates:
    """Near duplicates of `rows` forgotten rows among `others` rows of other people.

    `exact` rows have the very same bytes elsewhere; `near` rows, exact ones among them, lie within
    `threshold` of another person's row, where about `expected` would by chance. They belong to
    `near_people` of `people`. Rows of one person are near or far together, so `p` compares people:
    Fisher's exact test, one-sided, of having a near row, against people not in the request.
    `distances` are the 1st, 5th, 25th and 50th percentile of the nearest neighbours' distances,
    `held_out_distances` those of people who are not in the request.
    """

    rows: int
    others: int
    space: Literal["features", "inputs"]
    exact: int
    near: int
    near_people: int
    people: int
    expected: float
    p: float
    threshold: float
    distances: tuple[float, ...]
    held_out_distances: tuple[float, ...]
    undefined: str | None = None

    @property
    def words(self) -> str:
        """One sentence for the report."""
        if self.undefined:
            return f"Near duplicates were not looked for: {self.undefined}."
        return (
            f"Of {self.rows} forgotten rows {self.exact} stand unchanged among {self.others} rows "
            f"of other people, and {self.near}, of {self.near_people} of {self.people} people, "
            f"have a near copy there, where about {self.expected:.0f} would by chance (p = "
            f"{self.p:.2g}, by people)."
        )

    def to_json(self) -> dict[str, Any]:
        """The fields by name; NaN as None."""
        return json_ready(asdict(self))


def near_duplicates(
    forget: Any,
    others: Any,
    held_out: Any,
    *,
    model: Any = None,
    seed: int,
    device: str = "cpu",
    by_chance: float = BY_CHANCE,
) -> Duplicates:
    """Look for `forget` rows among `others` (the retain rows), calibrated on `held_out` rows.

    All three are datasets of (x, y) with `.subject_codes`; a row of the same person never counts.
    `model`: a reference model whose penultimate features to compare, else the flattened inputs.
    Held-out rows are a keyed sample of 2,000 at most; the others are read in chunks.
    """
    space: Literal["features", "inputs"] = "inputs" if model is None else "features"
    if not (len(forget) and len(others) and len(held_out)):
        nan = math.nan
        nothing = Duplicates(len(forget), len(others), space, 0, 0, 0, 0, nan, nan, nan, (), ())
        return Duplicates(**vars(nothing) | {"undefined": "a split has no rows"})
    sampled = sample_rows(len(held_out), seed=seed, size=CALIBRATION_ROWS)
    everyone = np.arange(len(forget))
    asked = np.concatenate(
        [_points(forget, everyone, model, device), _points(held_out, sampled, model, device)]
    )
    people = np.r_[np.asarray(forget.subject_codes), np.asarray(held_out.subject_codes)[sampled]]
    nearest = _nearest(asked, people, others, model, device)
    mine, strangers = nearest[: len(forget)], nearest[len(forget) :]
    exact = _same_bytes(forget, others)
    threshold = float(np.quantile(strangers, by_chance, method="lower"))
    close, chance = exact | (mine <= threshold), strangers <= threshold
    codes = people[: len(forget)], people[len(forget) :]
    counts = [_people(*side) for side in zip(codes, (close, chance), strict=True)]
    return Duplicates(
        rows=len(forget),
        others=len(others),
        space=space,
        exact=int(exact.sum()),
        near=int(close.sum()),
        near_people=counts[0][0],
        people=sum(counts[0]),
        expected=float(chance.mean()) * len(forget),
        p=float(stats.fisher_exact(counts, alternative="greater").pvalue),
        threshold=threshold,
        distances=_percentiles(mine),
        held_out_distances=_percentiles(strangers),
    )


def _people(codes: Codes, close: np.ndarray[Any, np.dtype[np.bool_]]) -> tuple[int, int]:
    """How many people have a row that is close, and how many have none."""
    everyone, some = np.unique(codes), np.unique(codes[close])
    return len(some), len(everyone) - len(some)


def _percentiles(distances: Floats) -> tuple[float, ...]:
    return tuple(float(np.quantile(distances, q, method="lower")) for q in _QUANTILES)


def _points(rows: Any, at: Codes, model: Any, device: str) -> Floats:
    """Points [N, D] of the rows `at`."""
    return np.concatenate([*_chunks(rows, at, model, device)])


def _chunks(rows: Any, at: Codes, model: Any, device: str) -> Iterator[Floats]:
    if model is None:
        yield from read_inputs(rows, at, chunk=_CHUNK)
        return
    from torch.utils.data import Subset

    from expunge.evaluation.probe import penultimate

    for start in range(0, len(at), _CHUNK):
        part = Subset(rows, at[start : start + _CHUNK].tolist())
        yield penultimate(model, part, device=device)


def _nearest(asked: Floats, people: Codes, others: Any, model: Any, device: str) -> Floats:
    """Distance [N] of each point to the nearest of the others that is another person's."""
    best = np.full(len(asked), np.inf)
    codes, start = np.asarray(others.subject_codes), 0
    for block in _chunks(others, np.arange(len(others)), model, device):
        theirs = codes[start : start + len(block)]
        for first in range(0, len(asked), _CHUNK):
            at = slice(first, first + _CHUNK)
            apart = _squares(asked[at], block)
            apart[people[at][:, None] == theirs] = np.inf
            best[at] = np.minimum(best[at], apart.min(axis=1))
        start += len(block)
    return np.asarray(np.sqrt(best))


def _squares(a: Floats, b: Floats) -> Floats:
    """Squared distances [N, M] about a common centre, where float64 leaves near points apart."""
    centre = b.mean(axis=0)
    a, b = a - centre, b - centre
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * (a @ b.T)
    return np.asarray(np.maximum(squares, 0.0))


def _same_bytes(forget: Any, others: Any) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Forget rows [N] whose input another person has, byte for byte."""
    holders: dict[bytes, set[int]] = {}
    mine = [*_digests(forget)]
    wanted = set(mine)
    codes = np.asarray(others.subject_codes).tolist()
    for digest, person in zip(_digests(others), codes, strict=True):
        if digest in wanted:
            holders.setdefault(digest, set()).add(person)
    people = np.asarray(forget.subject_codes).tolist()
    found = [bool(holders.get(d, set()) - {p}) for d, p in zip(mine, people, strict=True)]
    return np.array(found, dtype=bool)


def _digests(rows: Any) -> Iterator[bytes]:
    for block in read_inputs(rows, np.arange(len(rows)), chunk=_CHUNK):
        # + 0.0: a negative zero is the same number.
        for row in block + 0.0:
            yield hashlib.blake2b(row.tobytes(), digest_size=16).digest()
