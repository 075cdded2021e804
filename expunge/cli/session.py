"""One invocation: which workspace, how much to say, and the two streams it says it on.

Results go to standard output; progress and errors to standard error. While a command works,
whatever the libraries under it print goes to standard error too, so that standard output holds
the result and nothing else.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from rich.console import Console

from expunge.cli.progress import Reporter
from expunge.logs import is_json

if TYPE_CHECKING:
    from expunge.line import Line
    from expunge.requests import Ledger
    from expunge.workspace import Workspace


@dataclass(frozen=True)
class Session:
    """The global options of one invocation."""

    root: Path
    quiet: bool = False
    json: bool = False

    @property
    def out(self) -> Console:
        """Where results go; 80 columns and no colour when not a terminal."""
        return _console(sys.stdout)

    @property
    def err(self) -> Console:
        """Where progress and errors go."""
        return _console(sys.stderr)

    def workspace(self) -> Workspace:
        """The workspace, or an error that says how to get one."""
        from expunge.workspace import Workspace

        return Workspace.open(self.root)

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """The ledger alone: for what needs neither shards nor models."""
        from expunge.requests import Ledger

        workspace = self.workspace()
        url = workspace.settings.ledger.url.get_secret_value()
        with Ledger.open(url, workspace.keys) as ledger:
            yield ledger

    @contextmanager
    def progress(self) -> Iterator[Reporter]:
        """A reporter on standard error; what others print meanwhile goes there too."""
        on = Reporter.on(self.err, silent=self.quiet, lines=is_json())
        with on as reporter, redirect_stdout(sys.stderr):
            yield reporter

    @contextmanager
    def line(self) -> Iterator[Line]:
        """The line over the workspace, reporting its progress."""
        root = self.workspace().root
        with self.progress() as reporter:
            reporter("open", f"workspace {root}")
            from expunge.line import open_line

            with open_line(root, progress=reporter) as line:
                yield line


def _console(stream: TextIO) -> Console:
    """Text is printed as it is: a reason like `[red]` or `:x:` is no markup."""
    return Console(file=stream, highlight=False, markup=False, emoji=False)
