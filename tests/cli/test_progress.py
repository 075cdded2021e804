"""Progress: plain lines where there is no terminal, a live line where there is one."""

from __future__ import annotations

import io

from rich.console import Console

from expunge.cli.progress import Reporter


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def reported(*steps: tuple[float, str, str], **options: object) -> list[str]:
    stream, clock = io.StringIO(), Clock()
    reporter = Reporter(Console(file=stream), clock=clock, **options)
    for at, station, text in steps:
        clock.now = at
        reporter(station, text)
    reporter.close()
    return [line.strip() for line in stream.getvalue().splitlines()]


def test_each_station_shows_its_first_and_last_message():
    steps = [(0, "stage", "1"), (0.1, "stage", "2"), (0.2, "stage", "3"), (0.3, "publish", "4")]
    assert reported(*steps) == ["stage  1", "stage  3", "publish  4"]


def test_messages_a_second_apart_are_all_shown():
    assert reported((0, "stage", "1"), (1.5, "stage", "2")) == ["stage  1", "stage  2"]


def test_quiet_shows_nothing():
    assert reported((0, "stage", "1"), (5, "stage", "2"), silent=True) == []


def test_a_terminal_gets_a_bar_that_leaves_no_trace_and_lines_that_stay():
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=80)
    with Reporter.on(console) as reporter:
        reporter("train", "epoch 1", 1, 10)
        reporter("train", "epoch 10", 10, 10)
        reporter("register", "to MLflow")
    written = stream.getvalue()
    assert written.count("to MLflow") >= 1
    assert "\x1b[2K" in written


def test_markup_in_a_message_is_printed_as_it_is():
    assert reported((0, "gate", "[red]x[/red]")) == ["gate  [red]x[/red]"]
