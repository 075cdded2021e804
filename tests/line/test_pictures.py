"""Pictures of people's rows: logged where SPD-GAN is resolvable, in the ledger while they show
somebody who is still there.
"""

from __future__ import annotations

import pytest

import expunge.evaluation.spdgan as spdgan
from expunge.line import Line
from tests.line.small import RETRAIN, file, people_in, respec, run

WIDE = spdgan.SpdGanSettings(
    steps=20, width=8, low=0.001, high=0.9, epsilon=8, epsilon_max=20, adversarial=0
)
"""A band that the few rows of the small dataset's role V can be certain of."""


def pictures(line: Line, version: str) -> set[str]:
    """Names of the pictures that were logged with a version."""
    found = line.registry.client.get_model_version("small-mlp", version)
    listed = line.registry.client.list_artifacts(found.run_id, "plots")
    return {each.path.removeprefix("plots/") for each in listed}


@pytest.mark.usefixtures("quick")
def test_a_grid_of_rows_is_logged_and_invalid_once_somebody_of_its_role_is_erased(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spdgan, "SpdGanSettings", lambda: WIDE)
    respec(line, ladder=[RETRAIN])
    file(line, *people_in(line, "T", 5))
    run(line)
    names = {"accuracy.png", "degree.png", "perturbed.png", "scores.png", "sparsity.png"}
    assert pictures(line, "2") >= names
    (grid,) = [each for each in line.ledger.derived_of("small") if each.kind == "grid"]
    assert (grid.key, grid.roles, grid.state) == ("grid:small-mlp:2", "E", "valid")
    assert grid.path.endswith("plots/perturbed.png")

    file(line, *people_in(line, "E", 1), first=10)
    run(line)
    states = {e.key: e.state for e in line.ledger.derived_of("small") if e.kind == "grid"}
    assert states["grid:small-mlp:2"] == "invalid"
