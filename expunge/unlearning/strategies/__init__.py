"""Strategies: one small file each, registered under the name that a spec uses."""

from expunge.unlearning.strategies.base import STRATEGIES, Strategy, register
from expunge.unlearning.strategies.bottom_k import BottomK
from expunge.unlearning.strategies.exact_retrain import ExactRetrain
from expunge.unlearning.strategies.fast_retrain import FastRetrain
from expunge.unlearning.strategies.fine_tune import FineTune
from expunge.unlearning.strategies.global_perturbation import GlobalPerturbation
from expunge.unlearning.strategies.gradient_ascent import GradientAscent
from expunge.unlearning.strategies.neggrad_plus import NegGradPlus
from expunge.unlearning.strategies.random_k import RandomK
from expunge.unlearning.strategies.salun import SalUn
from expunge.unlearning.strategies.ssd import SSD
from expunge.unlearning.strategies.top_k import TopK

__all__ = [
    "SSD",
    "STRATEGIES",
    "BottomK",
    "ExactRetrain",
    "FastRetrain",
    "FineTune",
    "GlobalPerturbation",
    "GradientAscent",
    "NegGradPlus",
    "RandomK",
    "SalUn",
    "Strategy",
    "TopK",
    "register",
]
