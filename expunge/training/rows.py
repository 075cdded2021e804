"""Rows as batches: the fastest way that a map-style dataset of (x, y) offers.

Three ways, tried in this order: indexing the tensors of a `TensorDataset` (also through
`Subset`s), one `__getitems__` call a batch, one `__getitem__` call a row.
"""

from __future__ import annotations

from collections.abc import Sequence, Sized
from typing import Any, Protocol, TypeAlias

import torch
from torch.utils.data import Subset, TensorDataset

from expunge.errors import TerminalError

Batch: TypeAlias = tuple[torch.Tensor, torch.Tensor]


class RowError(TerminalError):
    """A dataset that does not give rows as (x, y)."""


class Rows(Protocol):
    """A map-style dataset: `rows[i]` is (x, y)."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


class RowReader:
    """Reads batches of `rows` onto `device`."""

    def __init__(self, rows: Rows, device: torch.device | str = "cpu") -> None:
        if not isinstance(rows, Sized) or not hasattr(rows, "__getitem__"):
            raise RowError(
                f"{type(rows).__name__} is not a map-style dataset.",
                fix="pass an object with __len__ and __getitem__ that gives (x, y)",
            )
        self._device = torch.device(device)
        self._rows, self._picked = _unwrapped(rows)
        self._length = len(rows)
        self._tensors = _tensors(self._rows, self._device)

    def __len__(self) -> int:
        return self._length

    def read(self, indices: torch.Tensor) -> Batch:
        """Rows at `indices` (int64 [B], on the CPU): x [B, ...] and y [B, ...]."""
        if self._picked is not None:
            indices = self._picked[indices]
        if self._tensors is not None:
            at = indices.to(self._device)
            return self._tensors[0][at], self._tensors[1][at]
        x, y = self._fetch(indices.tolist())
        return x.to(self._device, non_blocking=True), y.to(self._device, non_blocking=True)

    def _fetch(self, indices: list[int]) -> Batch:
        at_once = getattr(self._rows, "__getitems__", None)
        found = at_once(indices) if at_once else [self._rows[index] for index in indices]
        if isinstance(found, tuple) and len(found) == 2 and isinstance(found[0], torch.Tensor):
            return found[0], torch.as_tensor(found[1])
        return _stacked(found)


def _unwrapped(rows: Any) -> tuple[Any, torch.Tensor | None]:
    picked: torch.Tensor | None = None
    while type(rows) is Subset:
        inner = torch.as_tensor(rows.indices, dtype=torch.int64)
        picked = inner if picked is None else inner[picked]
        rows = rows.dataset
    return rows, picked


def _tensors(rows: Any, device: torch.device) -> Batch | None:
    if type(rows) is not TensorDataset:
        return None
    if len(rows.tensors) != 2:
        raise RowError(
            f"A TensorDataset of {len(rows.tensors)} tensors was given where rows are (x, y).",
            fix="build it of two tensors",
        )
    return rows.tensors[0].to(device), rows.tensors[1].to(device)


def _stacked(found: Sequence[Any]) -> Batch:
    try:
        pairs = [(torch.as_tensor(x), torch.as_tensor(y)) for x, y in found]
        return torch.stack([x for x, _ in pairs]), torch.stack([y for _, y in pairs])
    except (TypeError, ValueError, RuntimeError) as error:
        # Only the kind of the error: its text could hold a row.
        raise RowError(
            f"The rows do not stack into a batch of (x, y): {type(error).__name__}.",
            fix="give every row as a pair of a tensor and a number, all x of one shape",
        ) from None
