"""Unlearning: saliency → select → perturb → repair (method.md, section 2).

outcome = unlearn(model, forget, retain, strategy=TopK(fraction=0.2), repair=Repair(epochs=8))
outcome.model   # a new network; the one passed in is untouched
outcome.edit    # what changed, and what it cost
"""

from expunge.unlearning.edit import Edit, Outcome, TensorEdit
from expunge.unlearning.fresh import FreshError
from expunge.unlearning.ladder import strategy_of
from expunge.unlearning.parameters import Excluded
from expunge.unlearning.pipeline import EmptySplitError, unlearn
from expunge.unlearning.repair import Repair
from expunge.unlearning.saliency import SaliencyError, saliency
from expunge.unlearning.selection import Selection, bottom_k, random_k, top_k
from expunge.unlearning.strategies import (
    SSD,
    STRATEGIES,
    BottomK,
    ExactRetrain,
    FastRetrain,
    FineTune,
    GlobalPerturbation,
    GradientAscent,
    NegGradPlus,
    RandomK,
    SalUn,
    Strategy,
    TopK,
    register,
)

__all__ = [
    "SSD",
    "STRATEGIES",
    "BottomK",
    "Edit",
    "EmptySplitError",
    "ExactRetrain",
    "Excluded",
    "FastRetrain",
    "FineTune",
    "FreshError",
    "GlobalPerturbation",
    "GradientAscent",
    "NegGradPlus",
    "Outcome",
    "RandomK",
    "Repair",
    "SalUn",
    "SaliencyError",
    "Selection",
    "Strategy",
    "TensorEdit",
    "TopK",
    "bottom_k",
    "random_k",
    "register",
    "saliency",
    "strategy_of",
    "top_k",
    "unlearn",
]
