"""Networks and how they are trained: factories, the one training loop, predictions, weights.

Everything is a function of (network, rows, recipe, seed): on one machine and one device the same
four give the same bytes, and the global random state is left as it was.
"""

from expunge.training.device import pick_device
from expunge.training.factory import Builder, Factory, FactoryError, load_factory, seeded
from expunge.training.fit import DivergedError, Epoch, History, fit
from expunge.training.losses import LOSSES, Loss, OutputError
from expunge.training.names import canonical_name
from expunge.training.predict import labels, predict
from expunge.training.rows import RowError, RowReader, Rows
from expunge.training.schedule import TrainingSettings
from expunge.training.seeds import derived_seed, keyed_order
from expunge.training.weights import WeightsError, load_weights, save_weights

__all__ = [
    "LOSSES",
    "Builder",
    "DivergedError",
    "Epoch",
    "Factory",
    "FactoryError",
    "History",
    "Loss",
    "OutputError",
    "RowError",
    "RowReader",
    "Rows",
    "TrainingSettings",
    "WeightsError",
    "canonical_name",
    "derived_seed",
    "fit",
    "keyed_order",
    "labels",
    "load_factory",
    "load_weights",
    "pick_device",
    "predict",
    "save_weights",
    "seeded",
]
