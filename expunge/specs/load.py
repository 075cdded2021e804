"""Read a spec from its file; an error names the file, the field, what was found and allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from expunge.specs.base import SpecError
from expunge.specs.dataset import DatasetSpec
from expunge.specs.model import ModelSpec

S = TypeVar("S", DatasetSpec, ModelSpec)


def load_dataset_spec(path: Path) -> DatasetSpec:
    """Read and check `data/NAME.yaml`."""
    return _load(path, DatasetSpec)


def load_model_spec(path: Path) -> ModelSpec:
    """Read and check `models/NAME.yaml`."""
    return _load(path, ModelSpec)


def _load(path: Path, kind: type[S]) -> S:
    where = f"{path.parent.name}/{path.name}"
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SpecError(
            f"There is no spec {where}.", fix=f"write {where}, or mend the name"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SpecError(f"{where} is not YAML in UTF-8: {error}", fix=f"edit {where}") from None
    if not isinstance(raw, dict):
        raise SpecError(f"{where} is not a mapping of fields.", fix=f"edit {where}")
    try:
        spec = kind.model_validate(raw)
    except ValidationError as error:
        raise SpecError(_explain(where, error), fix=f"edit {where}") from None
    if spec.name != path.stem:
        raise SpecError(
            f"{where}: field name: found {spec.name!r}, allowed {path.stem!r} (the file's name).",
            fix=f"edit {where}",
        )
    return spec


def _explain(where: str, error: ValidationError) -> str:
    lines = [f"{where} has {error.error_count()} field(s) that cannot be used:"]
    for problem in error.errors(include_url=False):
        field = ".".join(str(part) for part in problem["loc"]) or "(whole file)"
        lines.append(f"    field {field}: found {_found(problem)}, allowed: {problem['msg']}")
    return "\n".join(lines)


def _found(problem: Any) -> str:
    if problem["type"] == "missing":
        return "nothing"
    shown = repr(problem["input"])
    return shown if len(shown) <= 60 else shown[:57] + "..."
