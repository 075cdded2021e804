"""One fit on digits and one on a table, shared by the tests of this package."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from expunge.evaluation.spdgan import Models, fit_spdgan
from tests.evaluation.spdgan.rows import (
    CATEGORICAL,
    QUICK,
    Scaled,
    digit_network,
    table,
    trained,
    written,
)


@pytest.fixture(scope="session")
def digits():
    """Roles R, F, V, E and a forget set of 20 writers whom the champion knows by heart."""
    reference, fit_rows, tune_rows = written(0, 40), written(40, 70), written(70, 110)
    held_out, forget, retain = written(110, 150), written(150, 170), written(170, 190)
    references = trained(digit_network, reference, models=2, epochs=8, seed=1)
    both = written(150, 190)
    (champion,) = trained(digit_network, both, models=1, epochs=40, seed=2)
    (retrain,) = trained(digit_network, retain, models=1, epochs=40, seed=3)
    (candidate,) = trained(digit_network, retain, models=1, epochs=10, seed=4)
    fitted = fit_spdgan(fit_rows, tune_rows, references, settings=QUICK, seed=5, device="cpu")
    return SimpleNamespace(
        fit=fit_rows,
        tune=tune_rows,
        held_out=held_out,
        forget=forget,
        references=references,
        models=Models(champion, candidate, retrain),
        fitted=fitted,
    )


@pytest.fixture(scope="session")
def tabular():
    rows = table()
    reference, fit_rows, tune_rows = (
        rows.take(slice(*part)) for part in ((0, 150), (150, 300), (300, 569))
    )
    references = trained(lambda: Scaled(reference), reference, models=2, epochs=10, seed=1)
    fitted = fit_spdgan(
        fit_rows,
        tune_rows,
        references,
        settings=QUICK,
        seed=2,
        device="cpu",
        categorical=CATEGORICAL,
    )
    return SimpleNamespace(fit=fit_rows, tune=tune_rows, references=references, fitted=fitted)
