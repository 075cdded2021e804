"""Resident memory of this process, as Linux counts it.

`ru_maxrss` is no use here: a process inherits it from the one that started it, and it cannot be
set back, so what it says of one step is the highest of all steps before.
"""

from __future__ import annotations

from pathlib import Path

_SELF = Path("/proc/self")


def resident_mb() -> float:
    """Resident now, in MB."""
    return _status("VmRSS")


def highest_mb() -> float:
    """The most that was resident since `forget_highest`, or since the start, in MB."""
    return _status("VmHWM")


def forget_highest() -> None:
    """Let the highest be what is resident now."""
    (_SELF / "clear_refs").write_text("5")


def _status(name: str) -> float:
    lines = (_SELF / "status").read_text().splitlines()
    kib = next(line.split()[1] for line in lines if line.startswith(f"{name}:"))
    return int(kib) * 1_024 / 1e6
