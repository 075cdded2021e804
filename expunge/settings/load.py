"""Read the settings: environment, files of secrets, `expunge.toml`, defaults.

No error holds a value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from pydantic import ValidationError
from pydantic_settings import SettingsError

from expunge.errors import TerminalError
from expunge.settings import files
from expunge.settings.concern import PREFIX, Concern, in_file
from expunge.settings.concerns import Settings
from expunge.settings.names import check_environment, concerns

C = TypeVar("C", bound=Concern)


def load_settings(root: Path) -> Settings:
    """Settings of the workspace at `root`; relative folders are below it.

    Raises:
        TerminalError: a value that cannot be used, or a name that is no setting.
    """
    check_environment()
    given = files.from_toml(root)
    found: dict[str, Any] = {
        name: _read(kind, root, given).below(root) for name, kind in concerns().items()
    }
    return Settings(**found)


def read(kind: type[C]) -> C:
    """One concern that no workspace's file gives."""
    check_environment()
    return _read(kind, Path(), {})


def _read(kind: type[C], root: Path, given: Mapping[str, Any]) -> C:
    prefix = in_file(kind.model_config["env_prefix"])
    own = {field: given[key] for field in kind.model_fields if (key := f"{prefix}{field}") in given}
    values = kind.defaults(root) | own | files.from_named_files(kind)
    try:
        return kind(_secrets_dir=files.secrets_dir(), **values)  # type: ignore[call-arg]
    except ValidationError as error:
        _refuse(
            f"{prefix}{'.'.join(map(str, problem['loc']))}: {problem['msg']}"
            for problem in error.errors(include_url=False, include_input=False)
        )
    except SettingsError as error:
        _refuse([str(error)])


def _refuse(problems: Iterable[str]) -> NoReturn:
    raise TerminalError(
        f"The settings cannot be used: {'; '.join(problems)}.",
        fix=f"mend {files.NAME} or the {PREFIX}* variables",
    ) from None
