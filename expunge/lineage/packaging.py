"""A candidate as a folder in MLflow's model format: pt2 to serve, safetensors to unlearn.

No pickle, and no real row: a pt2 archive carries its example batch byte for byte and MLflow adds
JSON copies, so the example is drawn from a generator by the shape alone.
"""

from __future__ import annotations

import copy
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expunge.errors import TerminalError
from expunge.lineage.candidate import MODEL_FILE, WEIGHTS_FILE, Candidate, SavedModel

if TYPE_CHECKING:
    import numpy as np
    from mlflow.models import Model, ModelSignature
    from numpy.typing import NDArray
    from torch import nn

OWN_FOLDER = "expunge"
_REQUIREMENTS = ("mlflow", "torch", "numpy")
# torch.export fixes a dimension of size 1, so one row would make a model of batch size 1.
_EXAMPLE_ROWS = 2


def write_model(candidate: Candidate, mlflow_model: Model, folder: Path) -> None:
    """Write the model folder: MLflow's files, and ours under `expunge/`.

    The candidate's module is left as it is; a copy in evaluation mode, on the CPU, is exported
    with a dynamic batch dimension. TerminalError where the network cannot be exported.
    """
    import mlflow.pytorch

    example = synthetic_example(candidate.input_shape)
    served = copy.deepcopy(candidate.module).cpu().eval()
    try:
        signature = _signature(served, example)
        with _no_environment_scan():
            mlflow.pytorch.save_model(
                served,
                path=str(folder),
                mlflow_model=mlflow_model,
                signature=signature,
                input_example=example,
                pip_requirements=_requirements(),
                serialization_format="pt2",
            )
    except (RuntimeError, TypeError, ValueError, AssertionError) as error:
        raise TerminalError(
            f"The network of {candidate.model!r} cannot be exported for serving: "
            f"{type(error).__name__}: {_first_line(error)}",
            fix="make its forward traceable by torch.export (no branches on data)",
            left="Nothing was registered.",
        ) from error
    own = folder / OWN_FOLDER
    own.mkdir()
    shutil.copyfile(candidate.weights, own / WEIGHTS_FILE)
    (own / MODEL_FILE).write_text(SavedModel.of(candidate).to_json(), encoding="utf-8")


def synthetic_example(input_shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Two rows of standard normal numbers, float32 [2, *input_shape]; the same ones always."""
    import numpy as np

    rows = np.random.default_rng(0).standard_normal((_EXAMPLE_ROWS, *input_shape))
    return rows.astype(np.float32)


def _signature(served: nn.Module, example: NDArray[np.float32]) -> ModelSignature:
    import numpy as np
    import torch
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    with torch.inference_mode():
        logits = served(torch.from_numpy(example))

    def spec(shape: Any) -> Schema:
        return Schema([TensorSpec(np.dtype("float32"), (-1, *shape[1:]))])

    return ModelSignature(inputs=spec(example.shape), outputs=spec(logits.shape))


def _requirements() -> list[str]:
    """Pins of what serving needs, without the local label of a torch build."""
    return [f"{name}=={version(name).partition('+')[0]}" for name in _REQUIREMENTS]


@contextmanager
def _no_environment_scan() -> Iterator[None]:
    """Spare MLflow's comparison of our pins, read from this very environment, with it.

    It reads the metadata of every installed distribution: 1.3 s of each process.
    """
    from mlflow.utils import environment

    scan = environment.warn_dependency_requirement_mismatches
    environment.warn_dependency_requirement_mismatches = lambda _: None
    try:
        yield
    finally:
        environment.warn_dependency_requirement_mismatches = scan


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no message"])[0][:300]
