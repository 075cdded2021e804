"""Pages of the documentation as what they tell a reader to do: files to write, commands to run.

A page that shows commands is run by a test, which reads it through here; `tests/test_docs.py` finds
commands that no test runs. In a ```console block a line that begins with `$ ` is a command, and
what follows it, if anything, what it says. A named file is a block after a paragraph whose last
word between backticks is the file's name.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from typer.testing import CliRunner

from expunge.cli.app import app

REPOSITORY = Path(__file__).parents[1]
PAGES = (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md")))
_FENCE = re.compile(
    r"(?:`(?P<name>[\w/.-]+\.\w+)`[^`]*?\n\n)?^```(?P<kind>\w*)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
_COMMAND = re.compile(r"^\$ (?P<line>.+)\n(?P<said>(?:(?!\$ ).*\n?)*)", re.MULTILINE)
_NEEDS_A_PROCESS = ("expunge init", "expunge run", "expunge train", "expunge adopt")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the name of the file that it is."""

    kind: str
    text: str
    name: str | None = None

    @property
    def commands(self) -> list[Command]:
        """The commands of a console block, in order."""
        if self.kind != "console":
            return []
        return [_command(each["line"], each["said"]) for each in _COMMAND.finditer(self.text)]


@dataclass(frozen=True)
class Command:
    """One line behind `$ `, without a remark at its end; and what the page says that it prints.

    `refused` is one whose remark is `# refused`: it has to fail, and `said` is its error.
    """

    line: str
    said: str
    refused: bool = False


def _command(line: str, said: str) -> Command:
    bare, _, remark = re.sub(r"\s+#\s", "\0", line, count=1).partition("\0")
    return Command(bare, said, refused=remark == "refused")


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    return [
        Block(each["kind"], each["text"], None if each["kind"] == "console" else each["name"])
        for each in _FENCE.finditer(text)
    ]


def page(name: str) -> list[Block]:
    """The blocks of `docs/NAME`."""
    return blocks((REPOSITORY / "docs" / name).read_text(encoding="utf-8"))


def commands(text: str) -> list[Command]:
    """All commands of a page."""
    return [command for block in blocks(text) for command in block.commands]


def write_files(found: list[Block], folder: Path) -> None:
    """Write the named files of a page."""
    for block in found:
        if block.name:
            (folder / block.name).write_text(block.text)


def environment(**more: str) -> dict[str, str]:
    """That of a reader with this Python's commands on the path and a terminal of 80 columns."""
    found = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "80", "DVC_NO_ANALYTICS": "1"} | more
    found["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{found['PATH']}"
    return found


@dataclass
class Shell:
    """Where a reader sits: types commands, of which each has to succeed, and changes folders."""

    folder: Path
    variables: dict[str, str] = field(default_factory=environment, repr=False)
    said: dict[str, str] = field(default_factory=dict)
    in_processes: tuple[str, ...] = _NEEDS_A_PROCESS

    def follow(self, found: list[Block]) -> None:
        """Do what a page says, in its order."""
        for block in found:
            if block.name:
                (self.folder / block.name).write_text(block.text)
            for command in block.commands:
                self(command.line, refused=command.refused)

    def __call__(self, line: str, *, refused: bool = False) -> str:
        """What a command prints on standard output; of one that has to be refused, its error."""
        if line.startswith("cd "):
            self.folder = (self.folder / line.removeprefix("cd ")).resolve()
            return ""
        words, _, source = line.partition(" < ")
        given = (self.folder / source.strip()).read_text() if source else None
        outside = not line.startswith("expunge ") or line.startswith(self.in_processes)
        said = (self._process if outside else self._here)(shlex.split(words), given, refused)
        self.said[line] = said
        return said

    def _process(self, words: list[str], given: str | None, refused: bool) -> str:
        ran = subprocess.run(
            words,
            cwd=self.folder,
            env=self.variables,
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ran.returncode != 0) == refused, f"{shlex.join(words)}: {ran.stdout}{ran.stderr}"
        return ran.stderr if refused else ran.stdout

    def _here(self, words: list[str], given: str | None, refused: bool) -> str:
        """In this process, which saves the start of another."""
        before = Path.cwd()
        os.chdir(self.folder)
        try:
            ran = CliRunner(env={"COLUMNS": "80"}).invoke(app, words[1:], input=given)
        finally:
            os.chdir(before)
        assert (ran.exit_code != 0) == refused, f"{shlex.join(words)}: {ran.output}"
        return ran.stderr if refused else ran.stdout


def lines(output: str) -> list[str]:
    """Lines without blanks at their ends, nor empty ones at the end of all."""
    return [line.rstrip() for line in output.rstrip().splitlines()]


def skeleton(output: str) -> list[str]:
    """Words of each line without what changes from run to run: numbers, digests, dates, rules."""
    found = (" ".join(_words(line)) for line in output.splitlines())
    return [line for line in found if line]


def says(output: str, documented: str) -> None:
    """Assert that the lines of `documented` stand in `output`, in order, by their skeletons."""
    have = iter(skeleton(output))
    for line in skeleton(documented):
        assert any(line == each for each in have), f"not said, or not there: {line!r} in\n{output}"


def _words(line: str) -> Iterator[str]:
    for word in line.split():
        bare = word.strip("(),.;:│├└─…")
        if bare and not re.search(r"[\d±→–]", bare) and not re.fullmatch(r"\W+|[0-9a-f]{8,}", bare):
            yield bare
