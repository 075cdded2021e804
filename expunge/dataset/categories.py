"""Text as codes: which level each code of a categorical column stands for, kept with the version.

A code means nothing without its level, and rows that are stored are never coded again. So levels
may be added behind those that are there, and nothing else about them may change while rows stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from expunge.dataset.errors import ColumnError
from expunge.specs import DatasetSpec


@dataclass(frozen=True)
class Category:
    """Codes of one column."""

    levels: tuple[str, ...]
    """The level of each code, from 0."""
    own_code: bool
    """Whether rows may hold the number of levels, for a text that was none of them."""


Categories = Mapping[str, Category]


def categories_of(spec: DatasetSpec) -> Categories:
    """What a spec says."""
    own_code = spec.features.unknown == "own_code"
    return {name: Category(levels, own_code) for name, levels in spec.features.categories.items()}


def grown(stored: Categories, spec: DatasetSpec) -> Categories:
    """The codes of stored rows and of new ones together.

    Raises:
        ColumnError: a stored code would stand for something else.
    """
    meant = categories_of(spec)
    for name in sorted({*stored, *meant}):
        before, after = stored.get(name), meant.get(name)
        if before is None or after is None or not _continues(before, after):
            raise ColumnError(
                f"data/{spec.name}.yaml: field features.categories: column {name!r} is coded in "
                "another way in the rows that are there.",
                fix="add levels at the end only (none with own_code), or replace all rows: "
                "--mode replace",
            )
    return {
        name: Category(each.levels, each.own_code or stored[name].own_code)
        for name, each in meant.items()
    }


def _continues(before: Category, after: Category) -> bool:
    """Whether codes given before still stand for the same."""
    if before.own_code:
        return before.levels == after.levels
    return after.levels[: len(before.levels)] == before.levels


def as_json(categories: Categories) -> dict[str, Any]:
    """For the manifest."""
    return {name: asdict(category) for name, category in sorted(categories.items())}


def from_json(found: Mapping[str, Any]) -> Categories:
    """Inverse of `as_json`. Raises `KeyError` or `TypeError` where it is nothing of the kind."""
    return {
        name: Category(tuple(each["levels"]), bool(each["own_code"]))
        for name, each in found.items()
    }
