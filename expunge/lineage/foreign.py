"""Model versions that others registered: their weights as safetensors, the data they name.

Pickles are never loaded, so a version that holds nothing else cannot be brought.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from expunge.errors import TerminalError
from expunge.lineage.aliases import CHAMPION
from expunge.lineage.candidate import sha256
from expunge.lineage.connection import UnknownModelVersionError, mlflow_errors

if TYPE_CHECKING:
    from expunge.lineage.registry import Registry

_PICKLES = {".pth", ".pt", ".bin", ".pkl", ".pickle", ".ckpt"}


class ForeignWeightsError(TerminalError):
    """A version whose artifacts hold no weights that can be read safely."""


@dataclass(frozen=True)
class Foreign:
    """A version as it was found: its weights on disk and the digests of data that its run names."""

    name: str
    version: str
    weights: Path
    sha256: str
    data_digests: tuple[str, ...]


def bring(
    registry: Registry, name: str, version: str | None, wanted: str | None, folder: Path
) -> Foreign:
    """Copy the weights of `version` (the champion where None) into `folder`.

    `wanted` is the path of one .safetensors file among the artifacts; needed where there are more.

    Raises:
        UnknownModelVersionError: no such version, or no champion.
        ForeignWeightsError: no such file, several, or pickles only.
    """
    number = version or registry.alias(name, CHAMPION)
    if number is None:
        raise UnknownModelVersionError(
            f"{name!r} has no version with alias {CHAMPION!r} in the registry.",
            fix="name one: --version NUMBER",
        )
    with registry.fetched(name, number) as artifacts:
        found = _weights(artifacts, wanted, f"{name} version {number}")
        weights = folder / "weights.safetensors"
        shutil.copyfile(found, weights)
    return Foreign(name, number, weights, sha256(weights), _data(registry, name, number))


def _weights(folder: Path, wanted: str | None, called: str) -> Path:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sound = [path for path in files if path.suffix == ".safetensors"]
    if wanted is not None:
        sound = [path for path in sound if path.relative_to(folder).as_posix() == wanted]
    if len(sound) == 1:
        return sound[0]
    names = ", ".join(path.relative_to(folder).as_posix() for path in sound[:5])
    pickled = sum(path.suffix in _PICKLES for path in files)
    if sound:
        what, fix = f"{len(sound)} files of weights: {names}", "choose one: --weights PATH"
    else:
        held = f"; its {pickled} pickle(s) are never loaded" if pickled else ""
        what = f"no {wanted or '.safetensors file'} among its {len(files)} artifact(s){held}"
        fix = (
            "where it was trained: safetensors.torch.save_model(network, 'weights.safetensors'), "
            "logged as an artifact of the version"
        )
    raise ForeignWeightsError(f"{called} has {what}.", fix=fix)


def _data(registry: Registry, name: str, version: str) -> tuple[str, ...]:
    """Digests of the datasets that the version's run logged as inputs, if it has a run."""
    from mlflow.exceptions import MlflowException

    with mlflow_errors(f"read the run of version {version} of {name!r}"):
        run_id = registry.client.get_model_version(name, version).run_id
        try:
            run = registry.client.get_run(run_id) if run_id else None
        except MlflowException:
            return ()  # the run was deleted, or lies in another store
    inputs = run.inputs.dataset_inputs if run is not None and run.inputs else []
    return tuple(str(each.dataset.digest) for each in inputs)
