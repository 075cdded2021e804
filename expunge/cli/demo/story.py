"""The demo from its first step to its last: it reads like what a data team does in a month.

Every step is one that the command line has too, on a workspace of its own. Files that come from
outside hold subject ids: they are removed as soon as they are taken in.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.rule import Rule

from expunge.cli.demo.place import DATASET, fresh_workspace, own_settings
from expunge.cli.demo.requests import OPERATOR, PORTAL, Arrival, People, Pile, choose, write_pile
from expunge.cli.demo.summary import Seen, checks, show_checks, show_imported, show_summary
from expunge.cli.demo.writers import WRITERS, subject_of, write_parquet
from expunge.cli.output import plural
from expunge.cli.progress import Reporter
from expunge.errors import TerminalError
from expunge.workspace import Workspace

if TYPE_CHECKING:
    from expunge.cli.imports import Imported
    from expunge.line import BatchReport, Ingested, Line, Trained

MODEL = "digits-cnn"
NEWCOMER = WRITERS  # a writer of whom the first ingest had no row


class DemoError(TerminalError):
    """A step of the demo ended otherwise than it has to."""


def run_demo(root: Path, console: Console) -> int:
    """Run the main job in a workspace at `root`, telling it on `console`.

    0 if everything came out as it has to, else 1. An earlier demo's workspace is replaced.

    Raises:
        ExpungeError: a step failed; `root` holds something else than a demo's workspace.
    """
    root = root.absolute()
    with own_settings(), redirect_stdout(sys.stderr):
        story = _Story(root, console)
        seen = story.tell()
        found = checks(seen)
        show_summary(console, seen, story.seconds)
        show_checks(console, found)
    return 0 if all(check.held for check in found) else 1


@dataclass
class _Story:
    root: Path
    console: Console
    seconds: dict[str, float] = field(default_factory=dict)

    def tell(self) -> Seen:
        with self.step("workspace", "A workspace of the reference specs"):
            workspace = fresh_workspace(self.root)
        from flows.local import local_api

        with local_api(workspace.root):  # its server starts while the first steps run
            return self._live(workspace)

    def _live(self, workspace: Workspace) -> Seen:
        with self.step("ingest", f"{WRITERS} writers' digits arrive and are ingested"):
            self._first_ingest(workspace)
        with self.step("train", "A champion is trained"), self.line() as line:
            trained = self._train(line)
        with self.step("requests", "People ask to be erased"):
            people, pile, imported = self._file(workspace)
        with self.step("batch", "The batch runs, station by station"):
            report = self._run()
        with (
            self.step("trace", "What happened to a request, and to the model"),
            self.line() as line,
        ):
            self._trace(line)
        with (
            self.step("return", "An erased writer comes back, with a new one"),
            self.line() as line,
        ):
            returned = self._return(line, people)
        with self.line() as line:
            return Seen(
                root=self.root,
                tracking_uri=workspace.settings.mlflow.tracking_uri.get_secret_value(),
                pile=pile,
                imported=imported,
                trained=trained,
                report=report,
                report_file=self._keep(report),
                returned=returned,
                batch_seconds=self.seconds["batch"],
                erased=len(people.erased),
                still_there=_holders(line, people.erased),
                bystanders=_holders(line, people.bystanders),
                status=line.ledger.status(),
                champion=line.registry.champion(MODEL),
            )

    def _first_ingest(self, workspace: Workspace) -> None:
        with _arrival(workspace, "writers.parquet") as file:
            with Reporter.on(self.console) as progress:
                progress("write", f"{WRITERS} synthetic writers to {file.name}")
                rows = write_parquet(file, range(WRITERS))
            with self.line() as line:
                done = self._ingest(line, file)
        self.say(
            f"{rows:,} rows in, {done.rows_total:,} in {DATASET} version {done.ordinal}: "
            f"{done.version[:10]}"
        )

    def _ingest(self, line: Line, file: Path) -> Ingested:
        from expunge.line import ingest

        return ingest(line, DATASET, file)

    def _train(self, line: Line) -> Trained:
        from expunge.line import train

        trained = train(line, MODEL)
        self.say(
            f"{MODEL} version {trained.version}: {trained.answers.training:.1%} of its "
            f"{trained.rows:,} training rows right, {trained.answers.held_out:.1%} held out, "
            f"{trained.seconds:.0f} s"
        )
        return trained

    def _file(self, workspace: Workspace) -> tuple[People, Pile, tuple[Imported, ...]]:
        with self.line() as line:
            people = choose(_roles(line))
            with _arrival(workspace, "requests") as folder:
                folder.mkdir()
                pile = write_pile(folder, people)
                imported = tuple(_import(line, arrival) for arrival in pile.files)
        show_imported(self.console, pile, imported)
        self.say(f"{OPERATOR}: {_request_add(self.root, pile.by_hand)}")
        return people, pile, imported

    def _run(self) -> BatchReport:
        with Reporter.on(self.console) as progress:
            progress("start", "the orchestrator")
            from flows.local import run_deletion_batch

            report = run_deletion_batch(self.root, DATASET, progress)
        if report is None:
            raise DemoError(
                "The batch found nothing to do.",
                left="The requests are filed.",
                fix=f"expunge status --workspace {self.root}",
            )
        return report

    def _trace(self, line: Line) -> None:
        from expunge.lineage import render, trace_model, trace_request
        from expunge.requests.filing import request_id

        self.console.print(render(trace_request(line.ledger, request_id(PORTAL, "P-0001"))))
        self.console.print(render(trace_model(line.ledger, MODEL)))

    def _return(self, line: Line, people: People) -> Ingested:
        with _arrival(line.workspace, "more-writers.parquet") as file:
            again = _writer_of(people.trained[0])
            write_parquet(file, (again, NEWCOMER))
            done = self._ingest(line, file)
        self.say(
            f"{plural(done.rows_in, 'row')} in: {done.suppressed} of an erased writer refused, "
            f"{done.rows_added} of a new one added"
        )
        return done

    def _keep(self, report: BatchReport) -> Path:
        folder = self.root / ".expunge" / "reports"
        folder.mkdir(exist_ok=True)
        file = folder / f"{report.batch_id}.json"
        file.write_text(json.dumps(report.to_json(), indent=2) + "\n")
        return file

    @contextmanager
    def step(self, name: str, title: str) -> Iterator[None]:
        """A part of the story under its own headline, timed."""
        self.console.print()
        self.console.print(Rule(f"{len(self.seconds) + 1}. {title}", align="left", style="cyan"))
        started = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - started

    @contextmanager
    def line(self) -> Iterator[Line]:
        """The line over the demo's workspace, reporting on the console."""
        with Reporter.on(self.console) as progress:
            from expunge.line import open_line

            with open_line(self.root, progress=progress) as line:
                yield line

    def say(self, text: str) -> None:
        self.console.print(text, soft_wrap=True)


@contextmanager
def _arrival(workspace: Workspace, name: str) -> Iterator[Path]:
    """A place for what comes from outside, gone afterwards: it holds subject ids."""
    folder = workspace.state("arrivals")
    try:
        yield folder / name
    finally:
        shutil.rmtree(folder)


def _roles(line: Line) -> dict[str, str]:
    """Role of each writer, by subject id, in the order of the writers."""
    from expunge.dataset import look_up

    subjects = [subject_of(writer) for writer in range(WRITERS)]
    key = line.workspace.keys.placement(DATASET)
    found = look_up(line.store(line.workspace.dataset(DATASET)), key, subjects)
    return {subject: next(iter(found[subject].by_role)) for subject in subjects}


def _holders(line: Line, subjects: tuple[str, ...]) -> int:
    """How many of some people the dataset holds rows of."""
    from expunge.dataset import look_up

    key = line.workspace.keys.placement(DATASET)
    return len(look_up(line.store(line.workspace.dataset(DATASET)), key, subjects))


def _writer_of(subject: str) -> int:
    return next(writer for writer in range(WRITERS) if subject_of(writer) == subject)


def _import(line: Line, arrival: Arrival) -> Imported:
    from expunge.cli.imports import file_all
    from expunge.requests.intake import read_requests

    entries = read_requests(
        arrival.path, source=arrival.source, regulation=arrival.regulation, datasets=(DATASET,)
    )
    return file_all(line.ledger, entries, {DATASET}, lambda lines: None)


def _request_add(root: Path, subject: str) -> str:
    """File one request as an operator does: the id goes in by standard input."""
    command = ["request", "add", "--subject-file", "-", "--id", "O-0001", "--source", OPERATOR]
    done = subprocess.run(
        [sys.executable, "-m", "expunge.cli", *command, "--workspace", str(root)],
        input=f"{subject}\n",
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DemoError(f"`expunge request add` failed: {done.stderr.strip()}", fix="read above")
    return done.stdout.strip()
