"""`experiment` of params.yaml: what is forgotten, and by which strategy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import Field, TypeAdapter, ValidationError

from expunge.errors import TerminalError
from expunge.specs import GateSpec
from expunge.specs.base import Spec
from expunge.specs.rungs import Noise, Rung

FILE = Path("params.yaml")
STRATEGIES = {
    get_args(kind.model_fields["strategy"].annotation)[0]: kind
    for kind in get_args(get_args(Rung)[0])
}


class ParamsError(TerminalError):
    """params.yaml does not say what to do."""


class Request(Spec):
    """The mock request: whole people, random rows, or one class; ordinary training rows."""

    kind: Literal["subjects", "rows", "class"]
    rows: Annotated[int, Field(ge=50)]
    draw: Annotated[int, Field(ge=0)] = 0


class Unlearn(Spec):
    """One strategy. What a strategy does not have (a fraction, a noise) it does not read."""

    strategy: str
    fraction: float
    noise: Noise
    scale: float
    epochs: float
    lr: float
    batch_size: int

    @property
    def rung(self) -> Rung:
        """The same as a rung of a ladder, which checks the ranges."""
        kind = STRATEGIES.get(self.strategy)
        if kind is None:
            raise ParamsError(
                f"{FILE} names the strategy {self.strategy!r}, which there is not.",
                fix=f"use one of {', '.join(STRATEGIES)}",
            )
        training = {name: getattr(self, name) for name in ("epochs", "lr", "batch_size")}
        wanted: dict[str, Any] = {"strategy": self.strategy}
        for name, field in kind.model_fields.items():
            if name in ("fraction", "noise", "scale"):
                wanted[name] = getattr(self, name)
            elif name == "repair" or (name == "recipe" and field.is_required()):
                wanted[name] = training
        return TypeAdapter(Rung).validate_python(wanted)


class Params(Spec):
    """All of it; `dataset` is one of the benchmark's (benchmarks/compare/specs)."""

    dataset: Literal["digits", "writers", "fashion"]
    seed: Annotated[int, Field(ge=0)]
    request: Request
    unlearn: Unlearn
    gate: GateSpec

    @classmethod
    def read(cls) -> Params:
        """From the working directory.

        Raises:
            ParamsError: a name or a value that there is not.
        """
        try:
            params = cls.model_validate(yaml.safe_load(FILE.read_text())["experiment"])
            params.unlearn.rung  # noqa: B018  # its ranges, before anything is trained
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ParamsError(
                f"experiment.{where} of {FILE}: {first['msg']}.", fix="set it as the file says"
            ) from None
        return params
