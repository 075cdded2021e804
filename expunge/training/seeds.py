"""Random streams: every purpose has its own, derived from one seed by name.

Orders are drawn on the CPU by a generator of their own, so that they depend neither on the
device nor on anything else that draws random numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def derived_seed(seed: int, purpose: str) -> int:
    """A 63-bit seed of one `purpose`: BLAKE2b of both, so streams do not overlap."""
    digest = hashlib.blake2b(f"{seed}\0{purpose}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def keyed_order(rows: int, seed: int, purpose: str) -> torch.Tensor:
    """A permutation of `rows` indices, int64 [rows], on the CPU."""
    generator = torch.Generator().manual_seed(derived_seed(seed, purpose))
    return torch.randperm(rows, generator=generator)


@contextmanager
def random_state(seed: int, purpose: str, device: torch.device) -> Iterator[None]:
    """Seed torch's global generators (CPU, and `device`) inside the block; restore them after."""
    on_gpu = device.type == "cuda"
    key = derived_seed(seed, purpose)
    with torch.random.fork_rng(devices=[device] if on_gpu else []):
        # Not torch.manual_seed: it would also reseed GPUs that are not restored here.
        torch.default_generator.manual_seed(key)
        if on_gpu:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(key)
        yield
