"""Where torch works, and how it is held to reproducible kernels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from expunge.errors import TerminalError


def pick_device(name: str | torch.device) -> torch.device:
    """The device called `name`; `auto` is CUDA where there is one, else the CPU."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise TerminalError(
            f"There is no kind of device {str(name)!r}.", fix="use auto, cpu or cuda"
        ) from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise TerminalError(
            "CUDA was asked for, and this machine has no usable CUDA device.",
            fix="set `device: auto` in the model's spec, or run where a GPU is",
        )
    return device


@contextmanager
def reproducible_kernels() -> Iterator[None]:
    """Choose kernels that add up in a fixed order; the process's own choice comes back after."""
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark
    chosen = torch.get_deterministic_debug_mode()
    cudnn.deterministic, cudnn.benchmark = True, False
    # Warn only: an operation without a deterministic kernel must not stop a batch. Not by
    # `use_deterministic_algorithms`, which imports the compiler, two seconds of it.
    torch.set_deterministic_debug_mode(max(chosen, 1))
    try:
        yield
    finally:
        cudnn.deterministic, cudnn.benchmark = before
        torch.set_deterministic_debug_mode(chosen)
