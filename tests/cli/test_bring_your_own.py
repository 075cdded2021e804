"""docs/bring-your-own.md: its files are written and its commands run, in the order of the page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs/bring-your-own.md"
STEP = re.compile(
    r"`(?P<name>[\w./-]+)`[^`]*?\n\n```(?:python|yaml|csv)\n(?P<text>.*?)```"
    r"|```console\n(?P<commands>.*?)```",
    re.DOTALL,
)


def run(command: str, folder: Path) -> str:
    """What a command of the page prints; it has to succeed."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "80"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    ran = subprocess.run(
        command.split(),
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, f"{command}: {ran.stdout}{ran.stderr}"
    return ran.stdout


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_page_leads_from_a_file_to_a_person_who_is_forgotten(tmp_path: Path) -> None:
    folder, said = tmp_path, {}
    for step in STEP.finditer(PAGE.read_text()):
        if step["name"]:
            (folder / step["name"]).write_text(step["text"])
            continue
        for command in re.findall(r"^\$ (.+)$", step["commands"], re.MULTILINE):
            if command.startswith("cd "):
                folder /= command.removeprefix("cd ")
            else:
                said[command] = run(command, folder)
    adopted = said["expunge adopt scan-net --from scan-classifier --dataset-version 1"]
    assert adopted.startswith("scan-net: version 1 is champion.")
    assert "scans: 54 rows erased" in " ".join(said["expunge run"].split())
    assert "Promoted: scan-net version" in said["expunge run"]
    assert (folder / "report.html").stat().st_size > 50_000
    assert "scan-net" in said["expunge trace model scan-net"]
