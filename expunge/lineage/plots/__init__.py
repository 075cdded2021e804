"""The pictures logged with a candidate or a benchmark.

They take plain numbers and give a matplotlib figure; `to_png` makes it a file. One picture, one
module; matplotlib is loaded when one is drawn.
"""

from expunge.lineage.plots.accuracy import SplitAccuracy, accuracy_bars
from expunge.lineage.plots.cost import CostPoint, Level, forgetting_against_cost
from expunge.lineage.plots.degree import unlearning_degree
from expunge.lineage.plots.grid import PerturbedRows, perturbation_grid
from expunge.lineage.plots.measured import Measured
from expunge.lineage.plots.roc import Attack, Curve, attack_roc
from expunge.lineage.plots.scores import MarginPair, score_distributions
from expunge.lineage.plots.sparsity import LayerEdit, sparsity_by_layer
from expunge.lineage.plots.training import training_curve, training_curves
from expunge.lineage.style import to_png

__all__ = [
    "Attack",
    "CostPoint",
    "Curve",
    "LayerEdit",
    "Level",
    "MarginPair",
    "Measured",
    "PerturbedRows",
    "SplitAccuracy",
    "accuracy_bars",
    "attack_roc",
    "forgetting_against_cost",
    "perturbation_grid",
    "score_distributions",
    "sparsity_by_layer",
    "to_png",
    "training_curve",
    "training_curves",
    "unlearning_degree",
]
