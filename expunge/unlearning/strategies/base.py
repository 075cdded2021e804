"""What a strategy is: how the network is changed, then how it is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any, ClassVar, TypeVar

from expunge.errors import TerminalError
from expunge.training import History, TrainingSettings
from expunge.unlearning.laws import NOISES
from expunge.unlearning.perturbation import Perturbed
from expunge.unlearning.saliency import KINDS
from expunge.unlearning.work import Work

STRATEGIES: dict[str, type[Strategy]] = {}
"""Every strategy by the name that a spec's ladder uses."""


class Strategy:
    """One unlearning method with its settings: a frozen dataclass that changes a `Work`.

    A subclass says how the network is changed; the defaults repair it with the settings given,
    or not at all.
    """

    name: ClassVar[str]
    exact: ClassVar[bool] = False

    def training(self, repair: TrainingSettings | None) -> TrainingSettings | None:
        """The training that follows the change; an error where `repair` does not fit."""
        return repair

    def change(self, work: Work) -> Perturbed:
        """Change `work.network`."""
        raise NotImplementedError

    def train(self, work: Work, settings: TrainingSettings) -> History:
        """Train the changed network."""
        return work.repair(settings)

    def settings(self) -> dict[str, Any]:
        """The plain settings, as JSON values, for the edit record."""
        plain = (bool, int, float, str, type(None))
        values = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
        return {name: value for name, value in values.items() if isinstance(value, plain)}


S = TypeVar("S", bound=type[Strategy])


def register(name: str) -> Callable[[S], S]:
    """Class decorator: make a strategy known under `name`."""

    def known(strategy: S) -> S:
        strategy.name = name
        STRATEGIES[name] = strategy
        return strategy

    return known


_ALLOWED = {
    "fraction": "fraction in (0, 1]",
    "noise": f"noise one of {', '.join(NOISES)}",
    "scale": "scale above 0",
    "saliency": f"saliency one of {', '.join(KINDS)}",
    "microbatch": "microbatch at least 1",
    "clip": "clip above 0, or none",
    "alpha": "alpha in [0, 1] (SSD: above 0)",
    "dampening": "dampening above 0",
    "sample": "sample at least 1",
    "weight_decay": "weight_decay 0, as decay moves every weight",
}


def check_settings(strategy: str, **within: bool) -> None:
    """Raise a TerminalError that names the settings whose check is False."""
    if wrong := [name for name, sound in within.items() if not sound]:
        raise TerminalError(
            f"{strategy}: {', '.join(wrong)} cannot be used as given.",
            fix="; ".join(_ALLOWED[name] for name in wrong),
        )


def no_repair(strategy: str, repair: TrainingSettings | None) -> None:
    """Raise a TerminalError where a repair is given to a strategy that takes none."""
    if repair is not None:
        raise TerminalError(f"{strategy} takes no repair.", fix="leave `repair` out")
