"""A fitted SPD-GAN on disk: weights as safetensors, the rest as JSON, never pickle.

The record names its weights by their digest and is replaced last, at once, so that a folder holds
the old fit or the new one, whole. `load(save(f))` saved again gives equal bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from pathlib import Path
from typing import Any

from expunge.evaluation.metric import EvaluationError
from expunge.evaluation.spdgan.fitted import Calibration, CurvePoint, Fitted
from expunge.evaluation.spdgan.generator import Architecture, Generator
from expunge.evaluation.spdgan.settings import SpdGanSettings
from expunge.training import WeightsError, load_weights, save_weights

FORMAT = 1
RECORD = "spdgan.json"
_WEIGHTS = "generator-{}.safetensors"


class StoreError(EvaluationError):
    """A folder that does not hold a whole, unchanged SPD-GAN."""


def save(fitted: Fitted, folder: Path) -> None:
    """Write `fitted` into `folder`, in place of what was saved there before."""
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f".weights.{secrets.token_hex(4)}"
    try:
        save_weights(fitted.generator, aside)
        digest = _digest(aside.read_bytes())
        weights = folder / _WEIGHTS.format(digest[:16])
        aside.replace(weights)
    finally:
        aside.unlink(missing_ok=True)
    _write(folder / RECORD, _sealed(_record(fitted, digest)))
    for old in folder.glob(_WEIGHTS.format("*")):
        if old != weights:
            old.unlink(missing_ok=True)


def load(folder: Path) -> Fitted:
    """The SPD-GAN that was saved in `folder`.

    Raises:
        StoreError: a file is missing, unreadable, or not what was saved.
    """
    record = _read(folder)
    try:
        return _fitted(record, folder)
    except (KeyError, TypeError, ValueError, WeightsError, EvaluationError) as error:
        if isinstance(error, StoreError):
            raise
        raise _broken(f"holds a record that cannot be read ({type(error).__name__})") from error


def _record(fitted: Fitted, digest: str) -> dict[str, Any]:
    architecture, calibration = fitted.generator.architecture, fitted.calibration
    return {
        "format": FORMAT,
        "weights": digest,
        "shape": list(architecture.shape),
        "width": architecture.width,
        "categorical": list(architecture.categorical),
        "epsilon": calibration.epsilon,
        "curve": [point.to_json() for point in calibration.curve],
        "not_resolvable": calibration.not_resolvable,
        "settings": fitted.settings.to_json(),
        "seed": fitted.seed,
        "references": fitted.references,
        "fit_rows": fitted.fit_rows,
        "tune_rows": fitted.tune_rows,
    }


def _fitted(record: dict[str, Any], folder: Path) -> Fitted:
    weights = folder / _WEIGHTS.format(record["weights"][:16])
    if not weights.is_file() or _digest(weights.read_bytes()) != record["weights"]:
        raise _broken("does not hold the weights that its record names")
    shape, categorical = tuple(record["shape"]), tuple(record["categorical"])
    generator = Generator(Architecture(shape, record["width"], categorical), record["epsilon"])
    load_weights(generator, weights)
    curve = tuple(CurvePoint.from_json(point) for point in record["curve"])
    return Fitted(
        generator.eval().requires_grad_(False),
        Calibration(record["epsilon"], curve, record["not_resolvable"]),
        SpdGanSettings.from_json(record["settings"]),
        record["seed"],
        record["references"],
        record["fit_rows"],
        record["tune_rows"],
    )


def _read(folder: Path) -> dict[str, Any]:
    try:
        record = json.loads((folder / RECORD).read_bytes())
    except (OSError, ValueError) as error:
        raise _broken(f"has no readable {RECORD}") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise _broken(f"is not of format {FORMAT}")
    if _sealed({name: record[name] for name in record if name != "digest"}) != record:
        raise _broken(f"has a {RECORD} that was changed")
    return record


def _sealed(record: dict[str, Any]) -> dict[str, Any]:
    text = json.dumps(record, sort_keys=True, allow_nan=False)
    return record | {"digest": _digest(text.encode())}


def _write(path: Path, record: dict[str, Any]) -> None:
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with aside.open("w") as file:
            file.write(json.dumps(record, indent=2, sort_keys=True, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _broken(what: str) -> StoreError:
    return StoreError(
        f"The folder of a fitted SPD-GAN {what}.",
        fix="remove the folder: the next evaluation fits it again",
    )
