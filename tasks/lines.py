"""The line that a task works on: the one its flow has open in this process, or its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from expunge.line import Line, open_line
from expunge.settings import Invocation, read

_lent: dict[str, Line] = {}


@contextmanager
def lend(line: Line) -> Iterator[None]:
    """Let the tasks of this process use `line`, with its ledger connection and progress."""
    root = str(line.workspace.root)
    _lent[root] = line
    try:
        yield
    finally:
        del _lent[root]


def lent() -> tuple[Line, ...]:
    """The lines that flows of this process have open."""
    return tuple(_lent.values())


@contextmanager
def line_at(root: str) -> Iterator[Line]:
    """The line over the workspace at `root`."""
    if root in _lent:
        yield _lent[root]
        return
    with open_line(Path(root)) as line:
        yield line


def workspace_root(workspace: str | None) -> str:
    """Absolute path of a workspace: as given, or `EXPUNGE_WORKSPACE`, or the working directory."""
    return str(Path(workspace or read(Invocation).workspace).resolve())
