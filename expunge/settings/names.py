"""Which names are settings, and the error for one that is not.

A typing error must not leave a default in force: an unknown name is refused, in the environment
as in the files.
"""

from __future__ import annotations

import difflib
import os
import re
import typing
from collections.abc import Collection
from typing import NoReturn

from expunge.errors import TerminalError
from expunge.settings.concern import PREFIX, Concern, is_secret
from expunge.settings.concerns import ENVIRONMENT_ONLY, Settings

FILE_SUFFIX = "_FILE"
# Kubernetes puts such variables in every container, named after the services of its namespace.
_SERVICE_LINK = re.compile(r"_SERVICE_HOST$|_SERVICE_PORT(_\w+)?$|_PORT(_\d+_(TCP|UDP)(_\w+)?)?$")


def concerns() -> dict[str, type[Concern]]:
    """The concerns of a workspace, by their field of `Settings`."""
    return typing.get_type_hints(Settings)


def variables() -> dict[str, bool]:
    """Every `EXPUNGE_*` variable that is a setting, and whether it is a secret."""
    kinds = (*concerns().values(), *ENVIRONMENT_ONLY)
    return {name: is_secret(field) for kind in kinds for name, field in kind.variables().items()}


def check_environment() -> None:
    """Refuse an `EXPUNGE_*` variable that is no setting."""
    known = variables()
    names = {*known, *(f"{name}{FILE_SUFFIX}" for name, secret in known.items() if secret)}
    for name in sorted(os.environ):
        ours = name.upper().startswith(PREFIX) and not _SERVICE_LINK.search(name)
        if ours and name.upper() not in names:
            refuse(name, "environment variable", names, f"unset {name}, or mend its name")


def refuse(name: str, kind: str, names: Collection[str], fix: str) -> NoReturn:
    """Raise the error for an unknown name, with the known one that is closest."""
    own = {each.removeprefix(PREFIX): each for each in sorted(names)}  # the prefix is like itself
    near = difflib.get_close_matches(name.removeprefix(PREFIX), own, 1)
    meant = f"; did you mean {own[near[0]]}?" if near else "."
    raise TerminalError(
        f"The {kind} {name} is no setting of expunge{meant}",
        fix=f"{fix}; docs/settings.md lists every setting",
    )
