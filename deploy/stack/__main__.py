"""`python -m deploy.stack start | status | stop | kill NAME | test`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from deploy.stack import control, processes
from deploy.stack.place import Place
from expunge.errors import ExpungeError, TerminalError

app = typer.Typer(no_args_is_help=True, pretty_exceptions_show_locals=False, help=__doc__)
console = Console(highlight=False)
_STYLES = {"up": "green", "starting": "yellow", "down": "bold red", "stopped": "dim"}


@app.callback()
def stack(
    context: typer.Context,
    root: Annotated[Path, typer.Option(metavar="DIR", help="The stack's folder.")] = Path("stack"),
) -> None:
    """PostgreSQL, S3, Prefect, MLflow and workers, as processes of this machine."""
    context.obj = root


@app.command()
def start(context: typer.Context) -> None:
    """Start what does not run, and set up what is not there."""
    began = time.monotonic()
    place = Place.make(context.obj)
    control.start(place, console.print)
    console.print(f"the stack runs ({time.monotonic() - began:.0f} s). In a shell: . {place.env}")
    _show(place)


@app.command()
def stop(context: typer.Context) -> None:
    """End every process; data, logs and secrets stay, but for what the S3 server held."""
    control.stop(Place(context.obj.resolve()), console.print)


@app.command()
def status(context: typer.Context) -> None:
    """Show each process; exit status 1 where one is not up."""
    if not _show(Place(context.obj.resolve())):
        raise typer.Exit(1)


@app.command()
def kill(context: typer.Context, name: str) -> None:
    """SIGKILL one process and all that it started, to see what happens."""
    place = Place(context.obj.resolve())
    if name not in place.ports:
        raise TerminalError(
            f"There is no process {name!r}.", fix=f"give one of {', '.join(place.ports)}"
        )
    processes.kill(place, name)
    _show(place)


@app.command()
def test(context: typer.Context) -> None:
    """Run the main job by schedule through a fresh stack, and stop it again."""
    from deploy.stack.checks import checks
    from deploy.stack.trial import Trial

    old = Place(context.obj.resolve())
    if (old.root / "ports.json").exists():
        control.stop(old, console.print)
    old.remove()
    trial = Trial(Place.make(context.obj), console)
    try:
        found = tuple(checks(trial.tell()))
    finally:
        control.stop(trial.place, console.print)
    for check in found:
        mark = "[green]✓[/]" if check.held else "[red]✗[/]"
        console.print(f"{mark} {check.text}" + ("" if check.held else f": {check.found}"))
    total = sum(trial.seconds.values())
    console.print(f"from nothing to the first batch promoted by schedule: {total:.0f} s")
    if not all(check.held for check in found):
        raise typer.Exit(1)


def _show(place: Place) -> bool:
    """Print the state of everything, and keep it in the stack's folder."""
    looks = control.look(place)
    table = Table("process", "state", "pid", "port", "since (UTC)", "log", box=None)
    for each in looks:
        since = f"{each.since:%Y-%m-%d %H:%M:%S}" if each.since else ""
        log = str(processes.log_of(place, each.name).relative_to(place.root.parent))
        state = f"[{_STYLES[each.state]}]{each.state}[/]"
        table.add_row(each.name, state, str(each.pid or ""), str(each.port), since, log)
    console.print(table)
    with (place.root / "status.txt").open("w") as file:
        Console(file=file, width=120).print(table)
    return all(each.state == "up" for each in looks)


def main() -> None:
    """Entry point; an error of ours ends it with three lines."""
    try:
        app(prog_name="python -m deploy.stack", standalone_mode=True)
    except ExpungeError as error:
        Console(stderr=True, highlight=False).print(str(error), markup=False, soft_wrap=True)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
