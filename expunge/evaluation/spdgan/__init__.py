"""SPD-GAN: a perturbation at which models stop generalising, and the unlearning degree under it.

`fit_spdgan` once for a dataset version and modality, `save` and `load` it, `unlearning_degree` of
each candidate; `visibility` and `example_grid` show what the perturbation looks like. This package
needs torch at import; `expunge.evaluation` does not import it.
"""

from expunge.evaluation.spdgan.degree import Degree, Models, no_degree, unlearning_degree
from expunge.evaluation.spdgan.drift import drift
from expunge.evaluation.spdgan.examples import ExampleGrid, example_grid
from expunge.evaluation.spdgan.fit import fit_spdgan
from expunge.evaluation.spdgan.fitted import Calibration, CurvePoint, Fitted
from expunge.evaluation.spdgan.game import Step
from expunge.evaluation.spdgan.settings import SpdGanSettings
from expunge.evaluation.spdgan.store import StoreError, load, save
from expunge.evaluation.spdgan.visibility import Visibility, visibility

__all__ = [
    "Calibration",
    "CurvePoint",
    "Degree",
    "ExampleGrid",
    "Fitted",
    "Models",
    "SpdGanSettings",
    "Step",
    "StoreError",
    "Visibility",
    "drift",
    "example_grid",
    "fit_spdgan",
    "load",
    "no_degree",
    "save",
    "unlearning_degree",
    "visibility",
]
