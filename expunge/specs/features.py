"""What a model reads of a row: columns of a table, a tensor, or an encoded image."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from expunge.specs.base import Column, Spec

Level = Annotated[str, Field(min_length=1, max_length=200)]
# Codes are stored as float32, exact up to 2²⁴, and a level each gets a row of an embedding.
Levels = Annotated[tuple[Level, ...], Field(min_length=1, max_length=100_000)]


class Features(Spec):
    """What the model reads: numeric `columns`, or one `column` of fixed-size tensors.

    `categorical` columns hold codes, which SPD-GAN leaves as they are. Columns of text become
    codes where `categories` lists their levels. An `encoded` column holds PNG or JPEG files.
    """

    columns: tuple[Column, ...] | None = None
    column: Column | None = None
    shape: tuple[Annotated[int, Field(gt=0)], ...] | None = None
    categorical: tuple[Column, ...] = ()
    categories: dict[Column, Levels] = Field(
        default={}, description="levels of columns of text, in the order of their codes from 0"
    )
    unknown: Literal["refuse", "own_code"] = Field(
        default="refuse",
        description="what becomes of a text that `categories` does not list: the ingest is "
        "refused, or all such get one code, the number of levels",
    )
    encoded: bool = Field(
        default=False, description="`column` holds PNG or JPEG files, which stay as they are"
    )
    resize: bool = Field(
        default=False, description="scale encoded images of another size to `shape`"
    )

    @model_validator(mode="after")
    def _one_form(self) -> Features:
        if (self.columns is None) == (self.column is None):
            raise ValueError("give either `columns` or `column` with `shape`")
        if self.column is not None and not self.shape:
            raise ValueError("`column` needs `shape`, for example [1, 16, 16]")
        if self.columns is not None and (self.shape or not self.columns):
            raise ValueError("`columns` names at least one column and takes no `shape`")
        if self.columns is not None and len(set(self.columns)) != len(self.columns):
            raise ValueError("`columns` names a column twice")
        for field in ("categorical", "categories"):
            if unknown := set(getattr(self, field)) - set(self.columns or ()):
                raise ValueError(f"`{field}` names {sorted(unknown)}, which `columns` does not")
        return self

    @model_validator(mode="after")
    def _categories(self) -> Features:
        for name, levels in self.categories.items():
            if len(set(levels)) < len(levels):
                raise ValueError(f"`categories` lists a level of {name!r} twice")
        if self.unknown != "refuse" and not self.categories:
            raise ValueError("`unknown` is about `categories`, and there are none")
        return self

    @model_validator(mode="after")
    def _images(self) -> Features:
        if self.encoded and (len(self.shape or ()) != 3 or self.input_shape[0] not in (1, 3)):
            raise ValueError("`encoded` needs `column` and a `shape` of [1, H, W] or [3, H, W]")
        if self.resize and not self.encoded:
            raise ValueError("`resize` is about `encoded` images")
        return self

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input, without the batch dimension."""
        return self.shape if self.shape else (len(self.columns or ()),)

    @property
    def names(self) -> tuple[str, ...]:
        """The feature columns of the stored table."""
        return self.columns if self.columns else (self.column or "",)

    @property
    def categorical_positions(self) -> tuple[int, ...]:
        """Places of the categorical columns in an input: those named, and those of text."""
        named = {*self.categorical, *self.categories}
        return tuple(at for at, name in enumerate(self.columns or ()) if name in named)

    @property
    def width(self) -> int:
        """Numbers in one input."""
        return math.prod(self.input_shape)
