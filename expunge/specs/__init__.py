"""The two specs a user writes: `data/NAME.yaml` and `models/NAME.yaml`, checked by pydantic."""

from expunge.specs.base import SpecError, checked_name
from expunge.specs.dataset import DatasetSpec, Expectations, RoleShares
from expunge.specs.features import Features
from expunge.specs.load import load_dataset_spec, load_model_spec
from expunge.specs.model import BudgetSpec, GateSpec, ModelSpec, ReferenceSpec
from expunge.specs.recipe import FastRecipe, Recipe, RepairSpec
from expunge.specs.rungs import ExactRetrainRung, Noise, Rung
from expunge.specs.task import LabelValues, Loss, Task

__all__ = [
    "BudgetSpec",
    "DatasetSpec",
    "ExactRetrainRung",
    "Expectations",
    "FastRecipe",
    "Features",
    "GateSpec",
    "LabelValues",
    "Loss",
    "ModelSpec",
    "Noise",
    "Recipe",
    "ReferenceSpec",
    "RepairSpec",
    "RoleShares",
    "Rung",
    "SpecError",
    "Task",
    "checked_name",
    "load_dataset_spec",
    "load_model_spec",
]
