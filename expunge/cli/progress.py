"""Progress on standard error: a live line with a bar in a terminal, plain lines elsewhere.

Implements `expunge.line.context.Progress`. Stations report as often as they like: of messages
that follow each other quickly only the newest is kept, and the last one of a station is always
shown.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress_bar import ProgressBar
from rich.text import Text

PAUSE_SECONDS = 1.0
_logger = logging.getLogger("expunge.progress")


@dataclass
class Reporter:
    """Callable with `(station, text, done, total)`; `done` of `total` where known."""

    console: Console
    silent: bool = False
    lines: bool = False
    clock: Callable[[], float] = time.monotonic
    live: Progress | None = None
    _station: str = ""
    _shown_at: float = field(default=float("-inf"))
    _held: str | None = None
    _task: TaskID | None = None

    @classmethod
    @contextmanager
    def on(
        cls, console: Console, *, silent: bool = False, lines: bool = False
    ) -> Iterator[Reporter]:
        """A reporter on `console`; shows the last message and clears the live line at the end.

        With `lines` each message is a line of the log instead.
        """
        live = _live(console) if console.is_terminal and not silent and not lines else None
        reporter = cls(console, silent=silent, lines=lines, live=live)
        if live is not None:
            live.start()
        try:
            yield reporter
        finally:
            reporter.close()

    def __call__(
        self, station: str, text: str, done: float | None = None, total: float | None = None
    ) -> None:
        """Report one step."""
        if self.silent:
            return
        if self.lines:
            if done is None:  # how far a long step is would be a line for each of its batches
                _logger.info(text, extra={"station": station})
            return
        if self.live is not None:
            self._move(station, text, done, total)
        if station != self._station:
            self._flush()
            self._station = station
            self._shown_at = float("-inf")
        if done is not None and self.live is not None:
            return
        self._held = text
        if self.clock() - self._shown_at >= PAUSE_SECONDS:
            self._flush()

    def close(self) -> None:
        """Show what is held back and end the live line."""
        self._flush()
        if self.live is not None:
            self.live.stop()

    def _flush(self) -> None:
        if self._held is not None:
            console = self.live.console if self.live is not None else self.console
            line = Text.assemble((f"{self._station:>11}", "cyan"), "  ", self._held)
            console.print(line, soft_wrap=True)
            self._shown_at = self.clock()
        self._held = None

    def _move(self, station: str, text: str, done: float | None, total: float | None) -> None:
        live = self.live
        if live is None:
            return
        if self._task is None or station != self._station:
            if self._task is not None:
                live.remove_task(self._task)
            self._task = live.add_task(text, total=None, station=station)
        live.update(self._task, description=text, completed=done or 0.0, total=total)


class _KnownBar(BarColumn):
    """A bar where the total is known, nothing elsewhere."""

    def render(self, task: Task) -> ProgressBar | Text:  # type: ignore[override]
        """The bar of a task."""
        return super().render(task) if task.total else Text()


def _live(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.fields[station]:>9}", style="cyan"),
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        _KnownBar(bar_width=16),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        # The session sends standard output to standard error already.
        redirect_stdout=False,
        redirect_stderr=True,
    )
