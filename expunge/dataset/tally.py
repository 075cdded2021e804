"""Counts of a dataset version, and the manifest that holds them.

Counts add and subtract, so that a version's manifest follows from the previous one and from the
shards that were rewritten, without a look at the others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from expunge.dataset.categories import Categories, as_json, from_json
from expunge.dataset.errors import ShardError
from expunge.dataset.placement import ROLES

FORMAT = 1
_CORRUPT = (ValueError, LookupError, TypeError, AttributeError, pa.ArrowException)
_FIX = "check the version out again; `expunge doctor` checks cache and remote"


@dataclass(frozen=True, eq=False)
class Tally:
    """Rows by role and label, and subjects by role.

    A label counts in its cell (`labels.py`): a class, or a bin of real numbers.
    """

    rows: npt.NDArray[np.int64]
    """[5, cells]; roles in the order of `ROLES`."""
    subjects: npt.NDArray[np.int64]
    """[5]."""

    @classmethod
    def empty(cls, cells: int) -> Tally:
        """A dataset without rows."""
        return cls(np.zeros((len(ROLES), cells), np.int64), np.zeros(len(ROLES), np.int64))

    @classmethod
    def count(
        cls,
        roles: npt.NDArray[np.int8],
        cell: npt.NDArray[np.int64],
        subject_roles: npt.NDArray[np.int8],
        cells: int,
    ) -> Tally:
        """Counts of one shard: role and cell of each row, role of each subject."""
        rows = np.bincount(roles.astype(np.int64) * cells + cell, minlength=len(ROLES) * cells)
        subjects = np.bincount(subject_roles, minlength=len(ROLES))
        return cls(rows.reshape(len(ROLES), cells).astype(np.int64), subjects.astype(np.int64))

    def widen(self, classes: int) -> Tally:
        """The same counts among more classes."""
        missing = classes - self.rows.shape[1]
        return Tally(np.pad(self.rows, ((0, 0), (0, missing))), self.subjects)

    def by_role(self) -> dict[str, int]:
        """Rows of each role."""
        return dict(zip(ROLES, self.rows.sum(axis=1).tolist(), strict=True))

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.rows + other.rows, self.subjects + other.subjects)

    def __sub__(self, other: Tally) -> Tally:
        return Tally(self.rows - other.rows, self.subjects - other.subjects)

    def same(self, other: Tally) -> bool:
        """Whether all counts are equal."""
        mine, theirs = (self.rows, self.subjects), (other.rows, other.subjects)
        return all(np.array_equal(a, b) for a, b in zip(mine, theirs, strict=True))

    @property
    def total(self) -> int:
        """Rows in all."""
        return int(self.rows.sum())


@dataclass(frozen=True)
class Manifest:
    """`manifest.json` beside the shards: small, readable, the same for the same rows."""

    dataset: str
    shards: int
    ingest: int
    """Number of the last ingest that brought rows."""
    extras: tuple[pa.Field, ...]
    tally: Tally
    categories: Categories = field(default_factory=dict)
    values: Mapping[str, float] = field(default_factory=dict)
    """Range and bins of a label that is a real number; its cells are then these bins."""

    def to_json(self) -> str:
        """Canonical text: sorted keys; zero counts and absent categories left out."""
        rows = {
            role: {str(label): int(count) for label, count in enumerate(row) if count}
            for role, row in zip(ROLES, self.tally.rows, strict=True)
        }
        schema = pa.schema(self.extras).serialize().to_pybytes().hex() if self.extras else ""
        content = {
            "format": FORMAT,
            "dataset": self.dataset,
            "shards": self.shards,
            "classes": self.tally.rows.shape[1],
            "ingest": self.ingest,
            "rows": self.tally.total,
            "labels_by_role": rows,
            "subjects_by_role": {
                role: int(count) for role, count in zip(ROLES, self.tally.subjects, strict=True)
            },
            "further_columns": {extra.name: str(extra.type) for extra in self.extras},
            "further_schema": schema,
        }
        if self.values:
            content["values"] = dict(self.values)
        if self.categories:
            content["categories"] = as_json(self.categories)
        return json.dumps(content, indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Inverse of `to_json`.

        Raises:
            ShardError: not a manifest, or of a format that this version does not read.
        """
        try:
            found = json.loads(text)
            if found["format"] != FORMAT:
                raise ShardError(
                    f"The manifest has format {found['format']}, this version reads {FORMAT}.",
                    fix="use the version of expunge that wrote it, or a newer one",
                )
            return cls._from(found)
        except (
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            IndexError,
            pa.ArrowException,
        ) as error:
            raise ShardError(
                f"The manifest is corrupt ({type(error).__name__}).", fix=_FIX
            ) from None

    @classmethod
    def _from(cls, found: Mapping[str, Any]) -> Manifest:
        tally = Tally.empty(found["classes"])
        for position, role in enumerate(ROLES):
            tally.subjects[position] = found["subjects_by_role"][role]
            for label, count in found["labels_by_role"][role].items():
                tally.rows[position, int(label)] = count
        extras: tuple[pa.Field, ...] = ()
        if found["further_schema"]:
            extras = tuple(pa.ipc.read_schema(pa.py_buffer(bytes.fromhex(found["further_schema"]))))
        categories = from_json(found.get("categories", {}))
        values = {name: float(value) for name, value in found.get("values", {}).items()}
        named = found["dataset"], found["shards"], found["ingest"]
        return cls(*named, extras, tally, categories, values)
