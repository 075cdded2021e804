"""What all specs share: names that are safe as file names, and the error of a spec."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from expunge.errors import TerminalError

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
Column = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_ .-]{0,99}$")]
Share = Annotated[float, Field(gt=0, lt=1)]
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class SpecError(TerminalError):
    """A spec that cannot be used as it stands."""


class Spec(BaseModel):
    """Frozen, and without fields that nobody reads."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def checked_name(name: str, noun: str) -> str:
    """A dataset or model name that is safe as a file name, or an error."""
    if not _NAME.fullmatch(name):
        raise SpecError(
            f"{name!r} is not a valid {noun} name.",
            fix="use lower-case letters, digits, '-' and '_', at most 63, no path separators",
        )
    return name
