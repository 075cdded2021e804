"""What every command shares: the global options, and how an error ends the process.

`@command(app)` gives a function that takes a `Session` first the options `--workspace` and
`--quiet` (and `--json` where a script may read the result); they may also stand before the
command's name. An `ExpungeError` becomes three lines on standard error and an exit status.
"""

from __future__ import annotations

import functools
import inspect
import json
import logging
import sys
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from expunge.cli.session import Session
from expunge.errors import ExpungeError, TransientError
from expunge.logs import configure, is_json

TERMINAL, USAGE, TRANSIENT = 1, 2, 75  # 75 is EX_TEMPFAIL of sysexits.h: try again later

WorkspaceOption = Annotated[
    Path | None,
    typer.Option(
        "--workspace",
        metavar="DIR",
        envvar="EXPUNGE_WORKSPACE",
        show_envvar=False,
        help="The workspace; else $EXPUNGE_WORKSPACE, else here.",
        rich_help_panel="Everywhere",
    ),
]
QuietOption = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="No progress.", rich_help_panel="Everywhere"),
]
JsonOption = Annotated[
    bool,
    typer.Option("--json", help="JSON on standard output.", rich_help_panel="Everywhere"),
]


@dataclass(frozen=True)
class Before:
    """Global options given before the command's name."""

    workspace: Path | None = None
    quiet: bool = False


def command(
    app: typer.Typer, name: str | None = None, *, reads_json: bool = False
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function `(session, ...)` as a command of `app`."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def run(**given: Any) -> None:
            before = given.pop("context").find_object(Before) or Before()
            workspace = given.pop("workspace") or before.workspace or Path()
            quiet = given.pop("quiet") or before.quiet
            as_json = given.pop("as_json", False)
            session = Session(workspace.expanduser().absolute(), quiet=quiet, json=as_json)
            try:
                configure()
                function(session, **given)
            except ExpungeError as error:
                raise typer.Exit(explain(error, as_json=as_json)) from None

        _with_options(run, function, reads_json=reads_json)
        app.command(name)(run)
        return run

    return register


def explain(error: ExpungeError, *, as_json: bool) -> int:
    """Say on standard error what happened, what is left and what comes next; the exit status."""
    transient = isinstance(error, TransientError)
    if is_json():
        logging.getLogger("expunge.cli").error(error.what, exc_info=error)
    elif as_json:
        facts = {"error": type(error).__name__, "transient": transient, "what": error.what}
        sys.stderr.write(json.dumps(facts | {"left": error.left, "next": error.fix}) + "\n")
    else:
        console = Session(Path()).err
        heading = "error, may pass: " if transient else "error: "
        console.print(Text.assemble((heading, "bold red"), error.what), soft_wrap=True)
        console.print(Text.assemble((" left: ", "bold"), error.left), soft_wrap=True)
        console.print(Text.assemble((" next: ", "bold"), error.fix), soft_wrap=True)
    return TRANSIENT if transient else TERMINAL


def _with_options(
    run: Callable[..., None], function: Callable[..., None], *, reads_json: bool
) -> None:
    """Give `run` the signature that Typer reads: the function's own, and the global options."""
    hints = typing.get_type_hints(function, include_extras=True)
    own = [
        parameter.replace(annotation=hints[parameter.name], kind=parameter.KEYWORD_ONLY)
        for parameter in list(inspect.signature(function).parameters.values())[1:]
    ]
    shared = {"workspace": (WorkspaceOption, None), "quiet": (QuietOption, False)}
    if reads_json:
        shared["as_json"] = (JsonOption, False)
    keyword = inspect.Parameter.KEYWORD_ONLY
    added = [
        inspect.Parameter(name, keyword, annotation=annotation, default=default)
        for name, (annotation, default) in shared.items()
    ]
    context = inspect.Parameter("context", keyword, annotation=typer.Context)
    parameters = [context, *own, *added]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
