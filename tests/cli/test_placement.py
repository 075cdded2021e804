"""What `expunge doctor` says of machines that have to share things."""

from __future__ import annotations

import socket

import pytest

from expunge.cli.placement import MARKS, placement
from expunge.workspace import Workspace
from tests.cli.conftest import Expunge


def test_machines_that_share_a_state_folder_see_each_other_and_sqlite_is_refused(
    expunge: Expunge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert placement(Workspace.open(expunge.root)) == (
        "models are unlearned where the batch runs",
        "",
    )
    monkeypatch.setenv("EXPUNGE_PLACEMENT_DEPLOYMENT", "unlearn-model/gpu")
    workspace = Workspace.open(expunge.root)
    assert placement(workspace)[1] == "set PREFECT_API_URL"
    monkeypatch.setenv("PREFECT_API_URL", "http://prefect.example:4200/api")
    found, mend = placement(workspace)
    assert f"seen by {socket.gethostname()}; run doctor on the other machines" in found
    assert mend == ""
    (workspace.state(MARKS) / "a-gpu-machine").touch()
    found, mend = placement(workspace)
    assert "a-gpu-machine" in found
    assert "EXPUNGE_LEDGER_URL (PostgreSQL) and EXPUNGE_MLFLOW_TRACKING_URI (a server)" in mend
