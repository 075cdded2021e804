"""What a concern is: a group of settings with one prefix, and where its values come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self, get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

PREFIX = "EXPUNGE_"


class Concern(BaseSettings):
    """Settings of one concern; `env_prefix` of its `model_config` starts with `EXPUNGE_`.

    A secret is a `SecretStr`, so that it is in no `repr` and in no error.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="forbid", frozen=True, hide_input_in_errors=True
    )

    @classmethod
    def defaults(cls, root: Path) -> dict[str, Any]:
        """Defaults that depend on the workspace's root, by field."""
        return {}

    def below(self, root: Path) -> Self:
        """The same, with relative folders below the workspace's root."""
        return self

    @classmethod
    def variables(cls) -> dict[str, FieldInfo]:
        """Its fields, by the name that they have in the environment."""
        prefix = cls.model_config["env_prefix"]
        return {f"{prefix}{name}".upper(): field for name, field in cls.model_fields.items()}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment, folder of secrets, then what `load` passes: files and defaults."""
        return (env_settings, file_secret_settings, init_settings)


def is_secret(field: FieldInfo) -> bool:
    """Whether a setting is never shown, and may come from a file of its own."""
    return SecretStr in (field.annotation, *get_args(field.annotation))


def in_file(variable: str) -> str:
    """The name in `expunge.toml` of an environment variable."""
    return variable.removeprefix(PREFIX).lower()
