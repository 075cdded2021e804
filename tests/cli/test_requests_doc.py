"""docs/requests.md: its files are written as they stand there, its commands say what it says."""

from __future__ import annotations

import shlex
import sqlite3
from pathlib import Path

import pytest

from tests.cli.conftest import Expunge
from tests.documented import Command, lines, page, write_files

BLOCKS = page("requests.md")
COMMANDS = [command for block in BLOCKS for command in block.commands]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    write_files(BLOCKS, folder)
    with sqlite3.connect(folder / "team.db") as team:
        team.executescript((folder / "team.sql").read_text())
    team.close()
    monkeypatch.setenv("EXPUNGE_SOURCE_URL", f"sqlite:///{folder / 'team.db'}")
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.line[:32])
def test_a_command_says_what_the_guide_says(
    expunge: Expunge, files: Path, command: Command
) -> None:
    said = expunge(*shlex.split(command.line.removeprefix("expunge "))).stdout
    assert lines(said) == lines(command.said)


def test_the_guide_has_a_file_of_each_format_and_a_table() -> None:
    assert sum(block.name is not None for block in BLOCKS) == len(COMMANDS) == 4
