"""Earlier batches, tested again: does an edit bring back people whom one before it forgot?

A version made by edits forgot several batches, one after the other, and each edit was judged on its
own people alone. Where rows of earlier batches may still be read, the candidate is measured on them
as on its own batch. Where they may not, two things stay of each batch: scores under the version
that forgot it, and a keyed digest of each row's content, by which training rows of now are compared
with it. Neither holds an input, an id, or a code that means anything elsewhere.

Digests are keyed BLAKE2b (RFC 7693, section 2.9) of the input's bytes: whoever has the file but not
the key cannot try whether a given row was among the erased ones.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expunge.evaluation.evaluate import RESAMPLES, hard_row_aucs
from expunge.evaluation.inputs import EvaluationInput
from expunge.evaluation.membership import auc, comparable, hard_rows
from expunge.evaluation.metric import EvaluationError, Metric, undefined
from expunge.evaluation.scores import Codes, Floats, Scores
from expunge.evaluation.uncertainty import dense_codes

NAMES = ("earlier_hard_row_auc", "earlier_hard_row_auc_before")
DIGEST_BYTES = 16
_CHUNK = 2_048

Digests = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Kept:
    """What stays of N forget rows: scores under the version that forgot them, and digests.

    `margin` and `reference_margin` [N] float64, `labels` [N], `people` [N] numbered 0 … m−1 within
    the batch, `digests` uint8 [N, 16].
    """

    margin: Floats
    reference_margin: Floats
    labels: NDArray[Any]
    people: Codes
    digests: Digests

    @classmethod
    def of(cls, scores: Scores, reference_margin: Floats, digests: Digests) -> Kept:
        """What to keep of rows with these scores; subject codes become numbers 0 … m−1."""
        people = dense_codes(scores.subjects)[0]
        return cls(scores.margin, reference_margin, scores.labels, people, digests)

    def __len__(self) -> int:
        return len(self.labels)


def save_kept(path: Path, kept: Kept) -> None:
    """Write aside and move into place: the file is whole or as it was; a replay writes it again."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    aside = path.with_name(f".{path.name}.aside")
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        np.savez_compressed(file, **vars(kept))
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


def load_kept(path: Path) -> Kept:
    """What `save_kept` wrote.

    Raises:
        EvaluationError: absent, cut off, or with other fields.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return Kept(**{field.name: arrays[field.name] for field in fields(Kept)})
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile):
        raise EvaluationError(
            f"What was kept of earlier rows, {path.name}, is absent or cannot be read.",
            fix="restore the file from a backup; without it these rows are not looked for again",
        ) from None


def content_digests(rows: Any, key: bytes) -> Digests:
    """Keyed digests [N, 16] of the inputs of `rows`, a dataset of (x, y); read in chunks."""
    found = b"".join(_digests(rows, key))
    return np.frombuffer(found, np.uint8).reshape(-1, DIGEST_BYTES)


def rows_back(earlier: Digests, rows: Any, key: bytes) -> int:
    """How many of the `earlier` rows have the content of one of `rows`, whoever's that is."""
    asked = [digest.tobytes() for digest in earlier]
    wanted = set(asked)
    found = {digest for digest in _digests(rows, key) if digest in wanted} if wanted else set()
    return sum(digest in found for digest in asked)


def _digests(rows: Any, key: bytes) -> Iterator[bytes]:
    import torch

    from expunge.training import RowReader

    reader = RowReader(rows)
    for part in torch.split(torch.arange(len(rows)), _CHUNK):
        # + 0.0: a negative zero is the same number.
        block = reader.read(part)[0].flatten(1).numpy() + 0.0 if len(part) else ()
        for row in block:
            yield hashlib.blake2b(row.tobytes(), key=key, digest_size=DIGEST_BYTES).digest()


def earlier_aucs(
    inputs: EvaluationInput, *, seed: int, resamples: int = RESAMPLES
) -> tuple[Metric, ...]:
    """`earlier_hard_row_auc` and `…_before`; the forget split of `inputs` holds the earlier rows.

    Measured like the batch's own hard-row AUC, against the same held-out rows.
    """
    found = hard_row_aucs(inputs, seed=seed, resamples=resamples)
    return tuple(replace(each, name=name) for each, name in zip(found, NAMES, strict=True))


def untested(why: str) -> tuple[Metric, ...]:
    """The same two metrics where no earlier row may be read, and why."""
    return tuple(undefined(name, why) for name in NAMES)


def kept_auc(kept: Kept, held_out: Scores, held_out_reference: Floats) -> float:
    """Hard-row AUC of kept scores against held-out scores of the same version; NaN without rows."""
    unknown = np.full(len(kept), np.nan)  # a ranking reads margins alone
    forget = Scores(unknown, kept.margin, unknown, kept.labels, kept.people)
    hard = hard_rows(kept.reference_margin, held_out_reference, held_out.task)
    return auc(comparable(forget, held_out, hard), (forget, held_out))
