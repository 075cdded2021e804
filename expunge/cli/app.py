"""The command line as a whole: what there is, and how the process ends.

Exit status: 0 done, 1 terminal, 2 usage, 75 transient (the same command may work later), 143
stopped by SIGTERM with every lock given back.
"""

from __future__ import annotations

import atexit
import gc
import signal
from types import FrameType
from typing import Annotated, NoReturn

import typer

from expunge.cli import (
    approve,
    audit,
    datasets,
    decisions,
    import_table,
    imports,
    metrics,
    models,
    report,
    requests,
    run,
    setup,
    status,
    trace,
)
from expunge.cli.command import Before, QuietOption, WorkspaceOption

app = typer.Typer(
    name="expunge",
    no_args_is_help=True,
    # Local variables can hold a subject's id.
    pretty_exceptions_show_locals=False,
    help="Take erasure requests out of datasets and out of the models trained on them.",
)


def main() -> None:
    """Entry point of `expunge` and of `python -m expunge.cli`."""
    signal.signal(signal.SIGTERM, _stop)
    # At exit Python would search millions of objects of its libraries for garbage: 2 s.
    atexit.register(gc.freeze)
    app(prog_name="expunge")


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    """Unwind, so that every `with` gives back its lock; the next run goes on from there."""
    raise SystemExit(128 + number)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"expunge {version('expunge')}")
        raise typer.Exit


@app.callback()
def expunge(
    context: typer.Context,
    workspace: WorkspaceOption = None,
    quiet: QuietOption = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Options that may stand before the command's name as well as after it."""
    context.obj = Before(workspace, quiet)


setup.register(app)
datasets.register(app)
models.register(app)
audit.register(app)
app.add_typer(requests.app, name="request")
imports.register(requests.app)
import_table.register(requests.app)
decisions.register(requests.app)
run.register(app)
approve.register(app)
report.register(app)
status.register(app)
metrics.register(app)
app.add_typer(trace.app, name="trace")
app.add_typer(models.app, name="model")
app.add_typer(setup.keys, name="key")
