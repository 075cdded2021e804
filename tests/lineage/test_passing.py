"""Passing copies go with the process that made them, or when somebody else comes by."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from expunge.lineage import Registry
from expunge.lineage.passing import passing, sweep_passing

KILLED = """
import os, signal, sys
from pathlib import Path
from expunge.lineage.passing import passing
with passing(Path(sys.argv[1]), "mlflow-") as folder:
    (folder / "weights.safetensors").write_bytes(b"weights")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_folder_is_gone_after_the_block(tmp_path: Path) -> None:
    with passing(tmp_path / "scratch", "mlflow-") as folder:
        assert folder.is_dir()
    assert not folder.exists()


def test_copies_of_a_killed_process_are_swept_and_those_of_a_living_one_stay(
    tmp_path: Path,
) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    (tmp_path / "mlflow-of-somebody-else").mkdir()
    assert len(list(tmp_path.iterdir())) == 2
    with passing(tmp_path, "mlflow-") as living:
        Registry("sqlite://", None, tmp_path).sweep()
        assert {path.name for path in tmp_path.iterdir()} == {
            living.name,
            "mlflow-of-somebody-else",
        }


def test_a_folder_that_was_never_made_has_nothing_to_sweep(tmp_path: Path) -> None:
    sweep_passing(tmp_path / "scratch", "mlflow-")
