"""docs/inputs.md: every spec and command of it, run; its output is what the page says."""

from __future__ import annotations

import io
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import yaml
from PIL import Image
from sklearn.datasets import load_digits
from typer.testing import CliRunner

from expunge.cli.app import app
from expunge.workspace import init_workspace
from tests.dataset.saved import saved_dataset
from tests.documented import REPOSITORY, blocks, lines

PAGE = REPOSITORY / "docs" / "inputs.md"
DATA = "EXPUNGE_DATA"
CHANGING = re.compile(r"(?<=  )[0-9a-f]{10}$")


@dataclass(frozen=True)
class Example:
    """One marked section."""

    name: str
    needs: str | None
    made_by: str | None
    python: str | None
    spec: str
    command: list[str]
    output: str


def examples() -> list[Example]:
    found = []
    marks = re.split(r"<!-- run: (.+?) -->\n", PAGE.read_text(encoding="utf-8"))
    for mark, text in zip(marks[1::2], marks[2::2], strict=True):
        by_kind = {block.kind: block for block in reversed(blocks(text))}
        (command,) = by_kind["console"].commands
        name, _, rest = mark.partition(" ")
        found.append(
            Example(
                name,
                rest.removeprefix("needs ") if rest.startswith("needs ") else None,
                rest.removeprefix("made by ") if rest.startswith("made by ") else None,
                by_kind["python"].text if "python" in by_kind else None,
                by_kind["yaml"].text,
                shlex.split(command.line.removeprefix("expunge ")),
                command.said,
            )
        )
    return found


def saved_digits(folder: Path) -> None:
    """As `datasets` saves 8×8 images: the library is not a dependency."""
    digits = load_digits()
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table(
        {
            "subject_id": [f"writer-{row // 9}" for row in range(len(digits.target))],
            "label": pa.array(digits.target, pa.int64()),
            "image": pa.array([{"bytes": png(i), "path": None} for i in digits.images], kind),
        }
    )
    saved_dataset(folder / "letters", table, rows=1000)


def png(image: np.ndarray) -> bytes:
    sink = io.BytesIO()
    Image.fromarray((image * 15).astype(np.uint8)).save(sink, "PNG")
    return sink.getvalue()


def test_the_page_has_an_example_of_each_input() -> None:
    names = [example.name for example in examples()]
    assert names == ["table", "diabetes", "arrays", "spoken", "photos", "letters"]


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.name)
def test_an_example_says_what_it_does(
    example: Example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if example.needs and not Path(os.environ.get(example.needs, "/absent")).is_dir():
        pytest.skip(f"${example.needs} names no folder of real data")
    monkeypatch.chdir(tmp_path)
    if example.made_by:
        {"saved_digits": saved_digits}[example.made_by](tmp_path)
    else:
        subprocess.run([sys.executable, "-c", example.python], check=True, timeout=100)
    workspace = init_workspace(tmp_path / "workspace")
    workspace.keys.reference()
    spec = yaml.safe_load(example.spec)
    (workspace.root / "data" / f"{spec['name']}.yaml").write_text(example.spec)
    runner = CliRunner(env={"EXPUNGE_WORKSPACE": str(workspace.root), "COLUMNS": "80"})
    result = runner.invoke(app, [*example.command, "--quiet"])
    assert result.exit_code == 0, result.output
    assert told(result.stdout) == told(example.output), result.stdout


def told(output: str) -> list[str]:
    """Lines without what every machine has its own of."""
    return [CHANGING.sub("…", line) for line in lines(output)]
