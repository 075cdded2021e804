"""Two rounds of the soak, on a real PostgreSQL: `make soak` plays all, with all servers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.soak.soak import soak
from tests.soak.table import markdown

FAULTS = ["PostgreSQL: immediate shutdown", "SIGKILL of the unlearning subprocess"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_nothing_is_lost_doubled_wrongly_promoted_or_orphaned_by_faults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", os.environ.copy())
    tmp_path.parent.chmod(0o755)
    folder = tmp_path / "site"
    folder.mkdir()
    told = soak(folder, FAULTS, seed=1, people=120, out=tmp_path, every=False)
    assert [one.found for one in told] == [[], []]
    assert [one.broken for one in told] == [[], []]
    assert "| requests lost | 0 |" in markdown(told)
