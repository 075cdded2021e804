"""Parameter names that survive wrapping."""

from __future__ import annotations


def canonical_name(name: str) -> str:
    """`name` without what DataParallel (`module.`) and torch.compile (`_orig_mod.`) add."""
    name = name.replace("_orig_mod.", "")
    while name.startswith("module."):
        name = name.removeprefix("module.")
    return name
