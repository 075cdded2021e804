"""What a dataset version holds: of some subjects, and in all.

Reads indexes and the two narrow columns `label` and `_ingest`, never features.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from expunge.dataset.labels import cell_of
from expunge.dataset.placement import ROLES
from expunge.dataset.schema import INGEST
from expunge.dataset.store import Index, Store


@dataclass(frozen=True)
class Holding:
    """Rows of one subject."""

    rows: int
    by_role: Mapping[str, int]
    by_label: Mapping[int, int]
    """By class, or by bin of a real label."""
    trained_by_ingest: Mapping[int, int]
    """Rows of role T, by the ingest that brought them."""
    by_label_trained: Mapping[int, int]
    """Rows of role T, by label."""
    shard: int


@dataclass(frozen=True)
class Summary:
    """Counts of one version."""

    rows: int
    by_role: Mapping[str, int]
    subjects_by_role: Mapping[str, int]
    labels_by_role: Mapping[str, Mapping[int, int]]
    shards: int
    """S; shards without rows count."""
    ingest: int
    further_columns: tuple[str, ...]


def summary(store: Store) -> Summary:
    """Counts of a version, from its manifest."""
    manifest = store.manifest
    tally = manifest.tally
    return Summary(
        rows=tally.total,
        by_role=tally.by_role(),
        subjects_by_role=dict(zip(ROLES, tally.subjects.tolist(), strict=True)),
        labels_by_role={
            role: {int(label): int(row[label]) for label in np.flatnonzero(row)}
            for role, row in zip(ROLES, tally.rows, strict=True)
        },
        shards=manifest.shards,
        ingest=manifest.ingest,
        further_columns=tuple(extra.name for extra in manifest.extras),
    )


def look_up(store: Store, key: bytes, subject_ids: Collection[str]) -> dict[str, Holding]:
    """Rows of those subjects that the dataset holds; the others are not in the answer."""
    holdings: dict[str, Holding] = {}
    for found in find_subjects(store, key, subject_ids):
        columns = store.read(found.shard, [store.spec.label, INGEST])
        labels = cell_of(columns[store.spec.label].to_numpy(), store.spec)
        ingests = columns[INGEST].to_numpy()
        for name, at in zip(found.names, found.at.tolist(), strict=True):
            begin = int(found.index.offset[at])
            rows = slice(begin, begin + int(found.index.rows[at]))
            role = ROLES[found.index.role[at]]
            holdings[name] = _holding(found.shard, role, labels[rows], ingests[rows])
    return holdings


def subjects_in(store: Store) -> Iterator[list[str]]:
    """The ids of everyone in a version, shard by shard: to compare with, never to write down."""
    for number in store.numbers:
        yield subjects_of_shard(store, number)


def subjects_of_shard(store: Store, number: int) -> list[str]:
    """The ids of everyone in one shard; of nobody where there is no such shard."""
    if not store.has(number):
        return []
    names: list[str] = store.read(number, [store.spec.subject_id])[0].unique().to_pylist()
    return names


@dataclass(frozen=True)
class Found:
    """Subjects that one shard holds."""

    shard: int
    index: Index
    names: tuple[str, ...]
    at: npt.NDArray[np.int64]
    """Position of each in the index."""


def find_subjects(store: Store, key: bytes, subject_ids: Collection[str]) -> Iterator[Found]:
    """Shard by shard, ascending, the subjects that have rows; only their indexes are read."""
    names = sorted(set(subject_ids))
    places = store.placement(key).place(names)
    for number in np.unique(places.shard).tolist():
        if not store.has(number):
            continue
        index = store.index(number)
        mine = np.flatnonzero(places.shard == number)
        at = index.find(places.digest[mine])
        if (there := at >= 0).any():
            held = tuple(names[position] for position in mine[there])
            yield Found(number, index, held, at[there])


def _holding(
    shard: int, role: str, labels: npt.NDArray[np.int64], ingests: npt.NDArray[np.int32]
) -> Holding:
    by_label = _counts(labels)
    trained = role == "T"
    return Holding(
        rows=len(labels),
        by_role={role: len(labels)},
        by_label=by_label,
        trained_by_ingest=_counts(ingests) if trained else {},
        by_label_trained=by_label if trained else {},
        shard=shard,
    )


def _counts(values: npt.NDArray[np.integer]) -> dict[int, int]:
    found, counts = np.unique(values, return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))
