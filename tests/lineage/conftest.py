"""A real MLflow store per test: SQLite, its tables made once and copied."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from expunge.lineage import Candidate, DatasetInput, FactoryReference, Registry
from expunge.workspace import quiet_environment

BEFORE, AFTER = "a" * 32 + ".dir", "b" * 32 + ".dir"
TRAINING = DatasetInput("digits", BEFORE, "c" * 40, 1, {"training": 5200})
FORGET = DatasetInput("digits", BEFORE, "c" * 40, 1, {"forget": 500})
RETAIN = DatasetInput("digits", AFTER, "d" * 40, 2, {"retain": 4700})


def network(seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3, padding=1),
        torch.nn.BatchNorm2d(4),
        torch.nn.ReLU(),
        torch.nn.Dropout(0.5),
        torch.nn.Flatten(),
        torch.nn.Linear(4 * 8 * 8, 10),
    )


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    quiet_environment()
    database = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    Registry(f"sqlite:///{database}", None).prepare()
    return database


@pytest.fixture
def registry(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    monkeypatch.chdir(tmp_path)
    shutil.copyfile(prepared, tmp_path / "mlflow.db")
    yield Registry(f"sqlite:///{tmp_path / 'mlflow.db'}", (tmp_path / "artifacts").as_uri())


@pytest.fixture
def candidate(tmp_path: Path) -> Callable[..., Candidate]:
    def make(key: str = "train:digits-cnn:1", **changes: Any) -> Candidate:
        module = changes.pop("module", None) or network()
        weights = tmp_path / "weights.safetensors"
        state = module.state_dict()
        save_file({name: value.contiguous() for name, value in state.items()}, weights)
        facts: dict[str, Any] = {
            "effect_key": key,
            "model": "digits-cnn",
            "kind": "trained",
            "module": module,
            "weights": weights,
            "factory": FactoryReference("cnn.py:build", {"channels": [4]}, "f" * 64),
            "input_shape": (1, 8, 8),
            "datasets": (TRAINING,),
            "params": {"lr": 2e-3, "epochs": 25},
            "metrics": {"held_out.accuracy": 0.85},
            "metric_table": [{"name": "GEN", "value": -0.006, "se": 0.004}],
            "curves": {"train.loss": [2.3, 1.1, 0.4]},
        }
        return Candidate(**{**facts, **changes})

    return make
