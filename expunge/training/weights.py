"""Weights on disk: safetensors, never pickle.

Tensors that share memory (tied) are written once; which names share is in the file's metadata.
`load_weights(save_weights(m))` gives back every tensor of the state bit for bit.
"""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from expunge.errors import TerminalError
from expunge.training.names import canonical_name

_TIED = "expunge.tied"


class WeightsError(TerminalError):
    """A file of weights that cannot be used with this network."""


def save_weights(model: nn.Module, path: Path) -> None:
    """Write the whole state of `model` to `path`, in place of what was there, at once.

    The same state gives the same bytes. Names lose what wrappers added to them.
    """
    kept: dict[str, torch.Tensor] = {}
    tied: dict[str, str] = {}
    first: dict[object, str] = {}
    for name, tensor in sorted(_state(model).items()):
        same = first.setdefault(_memory(tensor, name), name)
        if same == name:
            kept[name] = tensor.detach().cpu().contiguous().clone()
        else:
            tied[name] = same
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        # One metadata key only: safetensors does not keep the order of several.
        save_file(kept, aside, metadata={_TIED: json.dumps(tied, sort_keys=True)})
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def load_weights(model: nn.Module, path: Path) -> None:
    """Fill `model` in place from `path`; every name and shape has to agree."""
    state = _state(model)
    stored = _read(path)
    missing, unknown = sorted(set(state) - set(stored)), sorted(set(stored) - set(state))
    shapes = [
        name for name in sorted(set(state) & set(stored)) if state[name].shape != stored[name].shape
    ]
    if missing or unknown or shapes:
        told = (("missing", missing), ("unknown", unknown), ("of another shape", shapes))
        parts = [f"{len(names)} {word} ({', '.join(names[:3])})" for word, names in told if names]
        raise WeightsError(
            f"The weights in {path.name} are not this network's: {', '.join(parts)}.",
            fix="use the factory, arguments and source that the weights were trained with",
        )
    with torch.no_grad():
        for name, tensor in state.items():
            tensor.copy_(stored[name])


def _read(path: Path) -> dict[str, torch.Tensor]:
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            tied = json.loads((file.metadata() or {}).get(_TIED, "{}"))
            stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except FileNotFoundError:
        raise WeightsError(
            f"There is no file of weights {path.name}.", fix="fetch the model's artifacts again"
        ) from None
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(
            f"{path.name} is not a sound safetensors file: {error}",
            fix="fetch the model's artifacts again",
        ) from None
    return stored | {name: stored[same] for name, same in tied.items() if same in stored}


def _state(model: nn.Module) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = {}
    for name, value in model.state_dict().items():
        canonical = canonical_name(name)
        if not isinstance(value, torch.Tensor) or canonical in state:
            raise WeightsError(
                f"The network's state {name!r} is not a tensor, or its name is there twice.",
                fix="keep the state in tensors with names of their own",
            )
        state[canonical] = value
    return state


def _memory(tensor: torch.Tensor, name: str) -> object:
    """What two tied tensors have in common; an empty tensor shares with nothing."""
    if tensor.numel() == 0:
        return name
    place = tensor.data_ptr(), tensor.device
    return (*place, tensor.dtype, tuple(tensor.shape), tensor.stride())
