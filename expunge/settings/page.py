"""The page of all settings, `docs/settings.md`: `python -m expunge.settings.page`.

Written from the classes, so that it cannot say what the code does not do; a test compares them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from expunge.settings.concern import Concern, in_file, is_secret
from expunge.settings.concerns import ENVIRONMENT_ONLY, Invocation, LogSettings, TaskSettings
from expunge.settings.names import concerns

_ROOT = Path("/WORKSPACE")
_TITLES = {"mlflow": "MLflow"}
_INTRODUCTION = """\
<!-- Written by `python -m expunge.settings.page`: edit the classes in expunge/settings. -->
# Settings

Nothing has to be set: the defaults keep everything in the workspace, and need no server. A value
is taken from the first of these that has it:

1. the environment: `EXPUNGE_MAX_BATCH=500`;
2. for secrets, a file of their own (below);
3. `expunge.toml` in the workspace: `max_batch = 500`. A table is the start of the names in it, so
   `[ledger]` with `url = "…"` is `ledger_url`;
4. the default.

A name that is no setting is an error that says the closest one, so that a typing error does not
leave a default in force. Relative folders are below the workspace. `expunge doctor` shows which
variables are set, and checks what they lead to.

**Secrets** (marked so below) are printed nowhere: not in errors, not in `expunge doctor`, not in
JSON; URLs are shown without their login. A secret can be given as a file, as Docker and Kubernetes
mount them: `EXPUNGE_LEDGER_URL_FILE=/run/secrets/ledger` names the file of one secret, and with
`EXPUNGE_SECRETS_DIR=/run/secrets` the file `expunge_ledger_url` there holds `EXPUNGE_LEDGER_URL`.
"""
_OTHERS = """\
## Settings of others

What expunge starts reads its own variables, and expunge passes them on as they are:

- `PREFECT_API_URL`, `PREFECT_API_KEY`, `PREFECT_API_AUTH_STRING`: the Prefect server; without a
  URL one is started for the length of the run.
- `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SHARED_CREDENTIALS_FILE`, `AWS_ENDPOINT_URL`:
  S3, for DVC's remote and MLflow's artifacts.
- `MLFLOW_TRACKING_TOKEN`, `MLFLOW_TRACKING_SERVER_CERT_PATH`: an MLflow server that asks for a
  token, or has a certificate of your own.
- `GIT_SSH_COMMAND`, `GIT_ASKPASS`: the login to the git remote, where git's credential helper is
  not enough.

The DVC remote is part of the workspace: `dvc remote add --default NAME URL`.
"""


def page() -> str:
    """The page, in Markdown."""
    named = concerns() | {
        "tasks": TaskSettings,
        "logs": LogSettings,
        "process": Invocation,
    }
    return "\n".join([_INTRODUCTION, *(_section(*each) for each in named.items()), _OTHERS])


def _section(name: str, kind: type[Concern]) -> str:
    title = _TITLES.get(name, name.capitalize())
    only = "\n\nFrom the environment only." if kind in ENVIRONMENT_ONLY else ""
    head = "| setting | variable | default | meaning |\n|---|---|---|---|"
    about = (kind.__doc__ or "").strip().splitlines()[0]
    return f"## {title}\n\n{about}{only}\n\n{head}\n" + "\n".join(_rows(kind)) + "\n"


def _rows(kind: type[Concern]) -> Iterator[str]:
    given = kind.defaults(_ROOT)
    for name, (variable, field) in zip(kind.model_fields, kind.variables().items(), strict=True):
        default = given.get(name, field.get_default(call_default_factory=True))
        setting = "–" if kind in ENVIRONMENT_ONLY else f"`{in_file(variable)}`"
        secret = "; a secret" if is_secret(field) else ""
        bounds = f" ({bound})" if (bound := _bounds(field)) else ""
        meaning = f"{field.description}{bounds}{secret}"
        yield f"| {setting} | `{variable}` | {_shown(default)} | {meaning} |"


def _shown(default: Any) -> str:
    if default is None or default is PydanticUndefined:
        return "–"
    if isinstance(default, SecretStr):
        return f"`{default.get_secret_value()}`"
    plain = default if isinstance(default, list | int | float) else str(default)
    text = plain if isinstance(plain, str) else json.dumps(plain)
    return f"`{text.replace(str(_ROOT), 'WORKSPACE')}`"


def _bounds(field: FieldInfo) -> str:
    """Such as `≥ 1`, from the field's own constraints."""
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    found = (
        (sign, getattr(rule, name, None)) for rule in field.metadata for name, sign in signs.items()
    )
    return ", ".join(f"{sign} {limit}" for sign, limit in found if limit is not None)


if __name__ == "__main__":
    sys.stdout.write(page())
