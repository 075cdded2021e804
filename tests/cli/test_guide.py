"""The guide, page after page in one workspace: bring-your-own.md, trace.md, running.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.documented import Shell, page, says

PAGES = ("bring-your-own.md", "trace.md", "running.md")
VARIES = (
    "expunge report",
    "expunge trace subject --dataset scans < id.txt",
    "expunge trace subject --dataset scans < other.txt",
)
"""What depends on whom a random key put in which role; it has to succeed."""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_pages_lead_from_a_file_to_a_person_who_is_forgotten_and_say_what_is_said(
    tmp_path: Path,
) -> None:
    shell = Shell(tmp_path)
    for name in PAGES:
        blocks = page(name)
        shell.follow(blocks)
        for command in (each for block in blocks for each in block.commands):
            if command.said and command.line not in VARIES:
                says(shell.said[command.line], command.said)
    adopted = shell.said["expunge adopt scan-net --from scan-classifier --dataset-version 1"]
    assert adopted.startswith("scan-net: version 1 is champion.")
    assert "scans: 54 rows erased" in " ".join(shell.said["expunge run"].split())
    assert "Promoted: scan-net version" in shell.said["expunge run"]
    assert (shell.folder / "report.html").stat().st_size > 50_000
    assert "scan-net" in shell.said["expunge trace model scan-net"]
