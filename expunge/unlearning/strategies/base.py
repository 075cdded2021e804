"""What a strategy is: how the network is changed, then how it is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any, ClassVar, TypeVar

from expunge.errors import TerminalError
from expunge.training import History, TrainingSettings
from expunge.unlearning.laws import NOISES
from expunge.unlearning.perturbation import Perturbed
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
        plain = (bool, int, float, str)
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


def check_settings(strategy: str, **within: bool) -> None:
    """Raise a TerminalError that names the settings whose check is False."""
    if wrong := [name for name, sound in within.items() if not sound]:
        raise TerminalError(
            f"{strategy}: {', '.join(wrong)} cannot be used as given.",
            fix=f"fraction in (0, 1]; scale above 0; noise one of {', '.join(NOISES)}",
        )
