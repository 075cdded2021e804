"""`expunge init`, `doctor`, `key rotate` and `demo`: around the workspace."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from expunge.cli.command import TERMINAL, command
from expunge.cli.output import facts, print_json
from expunge.cli.session import Session

if TYPE_CHECKING:
    from expunge.cli.doctor import Check

keys = typer.Typer(no_args_is_help=True, help="The workspace's keys.")


def register(root: typer.Typer) -> None:
    """`expunge init`, `expunge doctor`, `expunge demo`."""
    command(root)(init)
    command(root, reads_json=True)(doctor)
    command(root)(demo)


def init(
    session: Session,
    folder: Annotated[Path, typer.Argument(metavar="DIR", show_default=False)],
) -> None:
    """Make a workspace: a git and DVC repository with the reference specs."""
    with session.progress() as progress:
        progress("init", f"git, DVC and reference specs in {folder}")
        from expunge.workspace import init_workspace

        workspace = init_workspace(folder)
        workspace.keys.reference()
    names = ", ".join(spec.name for spec in workspace.datasets()) or "none yet"
    models = ", ".join(spec.name for spec in workspace.models()) or "none yet"
    session.out.print(f"Workspace {workspace.root}", soft_wrap=True)
    session.out.print(facts([("datasets", names), ("models", models)]))
    session.out.print(f"next: cd {folder} && expunge doctor", soft_wrap=True)


def doctor(session: Session) -> None:
    """Check versions, stores, remote, keys and GPU, and say how to mend each."""
    with session.progress() as progress:
        progress("doctor", "versions, stores, remote, keys, GPU")
        from expunge.cli.doctor import diagnose

        checks = diagnose(session.workspace())
    if session.json:
        print_json([asdict(check) for check in checks])
    else:
        for check in checks:
            session.out.print(_finding(check))
            if not check.ok:
                session.out.print(Text(f"      next: {check.mend}"), soft_wrap=True)
    if not all(check.ok for check in checks):
        raise typer.Exit(TERMINAL)


def _finding(check: Check) -> Table:
    """One line, or several that stay below each other."""
    mark = Text("ok", "green") if check.ok else Text("MEND", "bold red")
    row = Table.grid(padding=(0, 2))
    row.add_column(width=4, justify="right")
    row.add_column(width=10, style="cyan", no_wrap=True)
    row.add_column(overflow="fold")
    row.add_row(mark, check.name, Text(check.found))
    return row


def demo(session: Session) -> None:
    """Run the main job on scikit-learn's digits, in a workspace of its own.

    The workspace is made anew in --workspace, or in ./expunge-demo.
    """
    from expunge.cli.demo import run_demo

    here = Path().absolute()
    status = run_demo(here / "expunge-demo" if session.root == here else session.root, session.out)
    if status:
        raise typer.Exit(status)


@command(keys)
def rotate(session: Session) -> None:
    """Add a reference key for new subject references; old keys stay to verify old ones."""
    workspace = session.workspace()
    key = workspace.keys.rotate_reference()
    session.out.print(f"New references are made with key {key.key_id}.")
    session.out.print(
        f"next: back up {workspace.settings.folders.keys}, apart from the database", soft_wrap=True
    )
