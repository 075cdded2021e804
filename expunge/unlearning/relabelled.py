"""Forgotten rows under random labels, joined to the retained ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from expunge.errors import TerminalError
from expunge.training import RowReader, Rows, derived_seed, labels
from expunge.training.rows import Batch

Labels: TypeAlias = npt.NDArray[Any]


class Relabelled:
    """Rows (x, y): those of `retain`, then those of `forget` under random labels.

    A random label is drawn once per row, by key, evenly from the distinct labels of the retain
    split without the row's own. Of real labels, which SalUn's authors do not speak of, that is
    ours: nearly their distribution, as few are equal. Raises TerminalError where that leaves none.
    """

    def __init__(self, retain: Rows, forget: Rows, seed: int) -> None:
        self._retain, self._forget = RowReader(retain), RowReader(forget)
        self.labels = torch.from_numpy(_random_labels(labels(retain), labels(forget), seed))

    def __len__(self) -> int:
        return len(self._retain) + len(self._forget)

    def __getitem__(self, index: int) -> Batch:
        x, y = self.__getitems__([index])
        return x[0], y[0]

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """The rows at `indices` as one batch, in that order."""
        at = torch.as_tensor(indices)
        kept, gone = at < len(self._retain), at >= len(self._retain)
        lost = at[gone] - len(self._retain)
        parts: list[Batch] = []
        if bool(kept.any()):
            parts.append(self._retain.read(at[kept]))
        if bool(gone.any()):
            parts.append((self._forget.read(lost)[0], self.labels[lost]))
        back = torch.cat([kept.nonzero(), gone.nonzero()]).flatten().argsort()
        return torch.cat([x for x, _ in parts])[back], torch.cat([y for _, y in parts])[back]


def _random_labels(retained: Labels, own: Labels, seed: int) -> Labels:
    known = np.unique(retained)
    place = np.searchsorted(known, own)
    has_own = known[np.minimum(place, known.size - 1)] == own
    others = known.size - has_own
    if not others.all():
        raise TerminalError(
            "The retain split has one label, so a forgotten row has no other label to be given.",
            fix="use a strategy other than salun for this model",
        )
    drawn = np.random.default_rng(derived_seed(seed, "random labels")).integers(others)
    given: Labels = known[drawn + (has_own & (drawn >= place))]
    return given
