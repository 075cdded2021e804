"""docs/cli.md says what the commands say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/cli.md"


def test_the_reference_of_the_commands_is_what_the_code_says(tmp_path: Path) -> None:
    made = tmp_path / "cli.md"
    options = ("--name", "expunge", "--title", "The expunge command", "--output", str(made))
    subprocess.run(
        [sys.executable, "-m", "typer", "expunge.cli.app", "utils", "docs", *options],
        check=True,
        capture_output=True,
    )
    assert PAGE.read_text() == made.read_text(), "run `make docs`"
