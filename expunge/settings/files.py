"""The files that settings come from: `expunge.toml`, and files that hold one secret each."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from expunge.errors import TerminalError
from expunge.settings.concern import PREFIX, Concern, in_file, is_secret
from expunge.settings.concerns import ENVIRONMENT_ONLY
from expunge.settings.names import FILE_SUFFIX, concerns, refuse, variables

NAME = "expunge.toml"
SECRETS_DIR = f"{PREFIX}SECRETS_DIR"


def from_toml(root: Path) -> dict[str, Any]:
    """What the workspace's file says; a table's name is the start of its settings' names."""
    names = {in_file(name) for kind in concerns().values() for name in kind.variables()}
    values: dict[str, Any] = {}
    for name, value in _flat(_parsed(root / NAME)):
        if name not in names:
            _refuse_key(name, names)
        if name in values:
            raise TerminalError(f"{NAME} gives {name} twice.", fix=f"keep one of them in {NAME}")
        values[name] = value
    return values


def _parsed(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as opened:
            return tomllib.load(opened)
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TerminalError(f"{NAME} is not TOML: {error}", fix=f"edit {NAME}") from None
    except OSError as error:
        raise _unreadable(file, error, f"mend the permissions of {file}") from None


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}_")
        else:
            yield f"{prefix}{name}", value


def _refuse_key(name: str, names: set[str]) -> NoReturn:
    elsewhere = {in_file(each) for kind in ENVIRONMENT_ONLY for each in kind.variables()}
    if name in elsewhere:
        raise TerminalError(
            f"{NAME} gives {name}, which is read from the environment only.",
            fix=f"remove it from {NAME}, and export {PREFIX}{name.upper()}",
        )
    refuse(name, f"key of {NAME}", names, f"remove {name}, or mend its name")


def from_named_files(kind: type[Concern]) -> dict[str, str]:
    """Secrets whose file `EXPUNGE_NAME_FILE` names, by field."""
    values = {}
    for field, (name, info) in zip(kind.model_fields, kind.variables().items(), strict=True):
        variable = f"{name}{FILE_SUFFIX}"
        if not is_secret(info) or variable not in os.environ:
            continue
        if name in os.environ:
            raise TerminalError(f"Both {name} and {variable} are set.", fix="unset one of them")
        values[field] = _content(Path(os.environ[variable]), variable)
    return values


def _content(file: Path, variable: str) -> str:
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(file, error, f"mend the file, its permissions, or {variable}") from None


def secrets_dir() -> Path | None:
    """The folder of secrets; one with a file of a name that is no setting is refused."""
    if not os.environ.get(SECRETS_DIR):
        return None
    folder, known = Path(os.environ[SECRETS_DIR]), variables()
    try:
        files = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise _unreadable(
            folder, error, f"mend the folder, its permissions, or {SECRETS_DIR}"
        ) from None
    for file in files:
        if file.upper().startswith(PREFIX) and file.upper() not in known:
            refuse(file.upper(), f"file in {folder},", known, f"remove {folder / file}")
    return folder


def _unreadable(file: Path, error: OSError | UnicodeDecodeError, fix: str) -> TerminalError:
    reason = error.strerror if isinstance(error, OSError) else "it is not text"
    return TerminalError(f"{file} cannot be read: {reason}.", fix=fix)
