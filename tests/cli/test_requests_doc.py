"""docs/requests.md: its files are written as they stand there, its commands say what it says."""

from __future__ import annotations

import re
import shlex
import sqlite3
from pathlib import Path

import pytest

from tests.cli.conftest import Expunge

DOC = (Path(__file__).parents[2] / "docs" / "requests.md").read_text()
FILES = re.findall(r"^`([\w.]+)`:\n\n```\w+\n(.*?)```$", DOC, re.MULTILINE | re.DOTALL)
COMMANDS = re.findall(r"^```console\n\$ expunge (.*?)\n(.*?)```$", DOC, re.MULTILINE | re.DOTALL)


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().splitlines()]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    for name, text in FILES:
        (folder / name).write_text(text)
    with sqlite3.connect(folder / "team.db") as team:
        team.executescript((folder / "team.sql").read_text())
    team.close()
    monkeypatch.setenv("EXPUNGE_SOURCE_URL", f"sqlite:///{folder / 'team.db'}")
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(("command", "said"), COMMANDS, ids=[each[:24] for each, _ in COMMANDS])
def test_a_command_says_what_the_guide_says(
    expunge: Expunge, files: Path, command: str, said: str
) -> None:
    assert lines(expunge(*shlex.split(command)).stdout) == lines(said)


def test_the_guide_has_a_file_of_each_format_and_a_table() -> None:
    assert len(FILES) == len(COMMANDS) == 4
