"""Networks by reference: `package.module:callable`, or `FILE.py:callable` in a folder.

A FILE.py is compiled from the very bytes that are digested and runs under a private module name,
so it collides with nothing and leaves no bytecode beside the spec.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import torch
from torch import nn

from expunge.errors import TerminalError
from expunge.training.seeds import random_state

_FILE = re.compile(r"([A-Za-z0-9_][\w-]*\.py):([A-Za-z_]\w*)")
_DOTTED = re.compile(r"([A-Za-z_][\w.]*):([A-Za-z_]\w*)")


class FactoryError(TerminalError):
    """A network that cannot be built."""


class Builder(Protocol):
    """Builds a freshly initialised network: the same seed, the same weights."""

    def build(self, seed: int) -> nn.Module:
        """A new network on the CPU."""


@dataclass(frozen=True)
class Factory:
    """A callable that builds one network, with its arguments and the digest of its source."""

    reference: str
    source_digest: str
    make: Callable[..., object] = field(repr=False, compare=False)
    args: Mapping[str, Any] = field(default_factory=dict)

    def with_args(self, args: Mapping[str, Any]) -> Factory:
        """The same factory with other arguments."""
        return replace(self, args=dict(args))

    def build(self, seed: int) -> nn.Module:
        """A new network on the CPU; the global random state is left as it was."""
        try:
            with random_state(seed, "build", torch.device("cpu")):
                built = self.make(**self.args)
        except Exception as error:
            raise FactoryError(
                f"The factory {self.reference} raised {type(error).__name__}: {error}",
                fix="mend the factory, or `args` in the model's spec",
            ) from error
        if not isinstance(built, nn.Module):
            raise FactoryError(
                f"The factory {self.reference} returned {type(built).__name__}, "
                "not a torch.nn.Module.",
                fix="return the network",
            )
        return built


def seeded(make: Callable[[], nn.Module]) -> Factory:
    """A factory of a callable at hand, for use from Python; its digest says only its name."""
    name = f"{getattr(make, '__module__', '?')}:{getattr(make, '__qualname__', repr(make))}"
    return Factory(name, hashlib.sha256(name.encode()).hexdigest(), make)


def load_factory(reference: str, folder: Path, args: Mapping[str, Any] | None = None) -> Factory:
    """The factory that `reference` names, a FILE.py being looked for in `folder`.

    `source_digest` is the SHA-256 of the file, or of the module's source. Raises FactoryError
    where it is missing, not callable, or its module raises on import.
    """
    if match := _FILE.fullmatch(reference):
        module, source = _from_file(folder / match[1], reference)
    elif match := _DOTTED.fullmatch(reference):
        module, source = _from_module(match[1], reference)
    else:
        raise FactoryError(
            f"{reference!r} does not name a factory.",
            fix="write package.module:callable, or FILE.py:callable beside the spec",
        )
    make = getattr(module, match[2], None)
    if not callable(make):
        raise FactoryError(
            f"{match[1]} has no callable {match[2]!r}.", fix="mend `factory` in the model's spec"
        )
    return Factory(reference, hashlib.sha256(source).hexdigest(), make, dict(args or {}))


def _from_file(path: Path, reference: str) -> tuple[ModuleType, bytes]:
    try:
        source = path.read_bytes()
    except OSError:
        raise FactoryError(
            f"There is no file {path.name} in {path.parent.name}/ for the factory {reference}.",
            fix="put it beside the model's spec, or mend `factory`",
        ) from None
    place = hashlib.sha256(str(path.resolve()).encode() + b"\0" + source).hexdigest()
    name = f"_expunge_network_{place[:24]}"
    if name in sys.modules:
        return sys.modules[name], source
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module  # dataclasses and type hints look their module up here
    try:
        exec(compile(source, str(path), "exec"), module.__dict__)  # noqa: S102 - the user's own network
    except BaseException as error:
        del sys.modules[name]
        if not isinstance(error, Exception):
            raise
        raise _import_failed(path.name, error) from error
    return module, source


def _from_module(name: str, reference: str) -> tuple[ModuleType, bytes]:
    try:
        module = importlib.import_module(name)
        file = inspect.getsourcefile(module)
        source = Path(file).read_bytes() if file else b""
    except ModuleNotFoundError as error:
        raise FactoryError(
            f"The module {error.name!r} of the factory {reference} is not installed.",
            fix="install it in expunge's environment, or mend `factory`",
        ) from error
    except Exception as error:
        raise _import_failed(name, error) from error
    if not source:
        raise FactoryError(
            f"{name} has no Python source, so what builds the network cannot be recorded.",
            fix="write a small FILE.py beside the spec that calls it",
        )
    return module, source


def _import_failed(name: str, error: Exception) -> FactoryError:
    return FactoryError(
        f"{name} raised {type(error).__name__} when it was loaded: {error}",
        fix=f"mend {name}",
    )
