"""Settings of one workspace: `EXPUNGE_*` in the environment, then `expunge.toml`, then defaults.

The defaults need no server: SQLite for ledger and MLflow, a folder as DVC remote. A class of
`concerns` is one concern; `docs/settings.md` lists every setting and is written from the code.
"""

from expunge.settings.concerns import (
    Invocation,
    LogSettings,
    MlflowSettings,
    Settings,
    TaskSettings,
)
from expunge.settings.load import load_settings, read
from expunge.settings.redaction import redacted

__all__ = [
    "Invocation",
    "LogSettings",
    "MlflowSettings",
    "Settings",
    "TaskSettings",
    "load_settings",
    "read",
    "redacted",
]
