"""The record of one unlearning: what was asked, what changed, what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from expunge.training import Epoch, History
from expunge.unlearning.parameters import Excluded


@dataclass(frozen=True)
class TensorEdit:
    """One parameter: elements in all, masked, and changed by the perturbation."""

    name: str
    parameters: int
    masked: int
    changed: int


@dataclass(frozen=True)
class Edit:
    """The edit record.

    `changed` ≤ `masked` ≤ `parameters` count elements of parameters in play, after the
    perturbation and before the repair, in the network's own precision; where a strategy trains the
    masked weights alone (SalUn), after that training. `ties` elements shared the
    K-th saliency where the hash had to choose. `seconds` is wall time by stage, with `total`.
    `cost` is in gradient-sample passes: one row forward and backward; a row forward only, as in
    the re-estimation of BatchNorm's statistics, is a third.
    """

    strategy: str
    settings: Mapping[str, Any]
    parameters: int
    masked: int
    changed: int
    per_tensor: tuple[TensorEdit, ...]
    ties: int
    mask_digest: str
    seed: int
    seconds: Mapping[str, float]
    cost: float
    excluded: tuple[Excluded, ...]
    history: History | None

    def to_json(self) -> dict[str, Any]:
        """The record as JSON values; `from_json` gives an equal record back."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Edit:
        """The record that `to_json` wrote."""
        history = record["history"]
        return cls(
            **{
                **record,
                "per_tensor": tuple(TensorEdit(**one) for one in record["per_tensor"]),
                "excluded": tuple(Excluded(**one) for one in record["excluded"]),
                "history": history and _history(history),
            }
        )


@dataclass(frozen=True)
class Outcome:
    """A new network, and the record of how it came about."""

    model: nn.Module
    edit: Edit


def _history(record: Mapping[str, Any]) -> History:
    return History(**{**record, "epochs": tuple(Epoch(**one) for one in record["epochs"])})
