"""Strategies: one small file each, registered under the name that a spec uses."""

from expunge.unlearning.strategies.base import STRATEGIES, Strategy, register
from expunge.unlearning.strategies.exact_retrain import ExactRetrain
from expunge.unlearning.strategies.fine_tune import FineTune
from expunge.unlearning.strategies.random_k import RandomK
from expunge.unlearning.strategies.top_k import TopK

__all__ = [
    "STRATEGIES",
    "ExactRetrain",
    "FineTune",
    "RandomK",
    "Strategy",
    "TopK",
    "register",
]
