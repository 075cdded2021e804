"""Masks and noise are the same in every release: a batch that is replayed masks what it masked.

The figures were taken once. Where one changes, the method has changed, and not only its speed.
"""

import hashlib
from collections.abc import Callable, Iterable

import numpy as np
import pytest
import torch

from expunge.unlearning import Selection, bottom_k, random_k, top_k
from expunge.unlearning.philox import Stream

SIZES = {"conv.weight": 300_001, "conv.bias": 64, "fc.weight": 5_000, "norm": 1, "z": 131_072}
FRACTIONS = (1e-9, 0.05, 0.5, 0.9)
STREAM = Stream(20260131, "select")
RULES: dict[str, Callable[..., Selection]] = {"top_k": top_k, "bottom_k": bottom_k}


def saliencies(distinct: int) -> dict[str, torch.Tensor]:
    """About so many distinct values, 28 % of them 0; by integers, so the same everywhere."""
    made = {}
    for at, (name, size) in enumerate(SIZES.items()):
        mixed = (np.arange(size, dtype=np.uint64) + np.uint64(at)) * np.uint64(2_654_435_761)
        values = (mixed >> np.uint64(7)) % np.uint64(distinct)
        values[mixed % np.uint64(100) < 28] = 0
        made[name] = torch.from_numpy(values.astype(np.float32) / np.float32(1 << 20))
    return made


def combined(selections: Iterable[Selection]) -> str:
    told = "\n".join(f"{one.masked} {one.ties} {one.digest()}" for one in selections)
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def ranked(rule: str, distinct: int, per_layer: bool) -> str:
    made = saliencies(distinct)
    return combined(RULES[rule](made, each, STREAM, per_layer=per_layer) for each in FRACTIONS)


def hashed(name: str) -> str:
    return hashlib.sha256(STREAM.hashes(name, np.arange(SIZES[name])).tobytes()).hexdigest()[:32]


RANKED = {
    ("top_k", 1, False): "48e2c326dc48c4fe7539a1f44be441d7",
    ("top_k", 1, True): "47a5925016273decbfbd96bd8d06ef33",
    ("top_k", 300, False): "abfeb80d720f76b94b27ed4f3ff8220a",
    ("top_k", 300, True): "45d9b1546ac1088e92ef4a44a1d1ae14",
    ("top_k", 1 << 22, False): "bcd64d4f312927ca1886a7c062b1d6f0",
    ("top_k", 1 << 22, True): "de3c3393a1b2980919ff6b09f068fabd",
    ("bottom_k", 1, False): "48e2c326dc48c4fe7539a1f44be441d7",
    ("bottom_k", 1, True): "47a5925016273decbfbd96bd8d06ef33",
    ("bottom_k", 300, False): "0425f8bc5684ca3c55184a1a182a86b4",
    ("bottom_k", 300, True): "e5053b39c57c5a450410ac080c4c4c3b",
    ("bottom_k", 1 << 22, False): "44b0aedf497a52923f78db5897d437ac",
    ("bottom_k", 1 << 22, True): "ef4bee8d02ec323d7d423efe1fef51d2",
}
HASHED = {
    "conv.weight": "3143f98f7d976fb8496134d1ceca951e",
    "conv.bias": "94a218b10bc8ed15231c15e80f9c5fdc",
    "fc.weight": "5608ed70e87b18c259809083e23c1645",
    "norm": "fe654dd1dd0224a1ee01b36b40995334",
    "z": "60b8a83e66e04a80f386f8dea15c9c91",
}
NORMALS = {
    0: 0.8211950421667605,
    1: 0.0914898715155885,
    2: 1.7700694303653048,
    4_999: -0.8472874169833273,
    1 << 33: 0.44429947486323884,
}


@pytest.mark.parametrize("case", RANKED, ids=str)
def test_masks_by_saliency_are_what_they_were(case: tuple[str, int, bool]) -> None:
    assert ranked(*case) == RANKED[case]


def test_random_masks_are_what_they_were() -> None:
    found = combined(random_k(SIZES, each, STREAM) for each in (*FRACTIONS, 1.0))
    assert found == "e1b542226ec7ac5eddf1af42b14e42af"


@pytest.mark.parametrize("name", SIZES)
def test_hashes_are_what_they_were(name: str) -> None:
    assert hashed(name) == HASHED[name]


def test_noise_is_what_it_was() -> None:
    found = Stream(20260131, "noise").normals("fc.weight", np.array(list(NORMALS)))
    expected = np.array(list(NORMALS.values()))
    np.testing.assert_array_max_ulp(found.astype(np.float32), expected.astype(np.float32), 1)
