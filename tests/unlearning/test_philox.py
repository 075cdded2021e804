import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expunge.unlearning.philox import Stream, name_hash, philox4x32

# Known answers of Random123 1.14, tests/kat_vectors, "philox4x32 10": counter, key, result.
KNOWN = [
    (
        "00000000 00000000 00000000 00000000",
        "00000000 00000000",
        "6627e8d5 e169c58d bc57ac4c 9b00dbd8",
    ),
    (
        "ffffffff ffffffff ffffffff ffffffff",
        "ffffffff ffffffff",
        "408f276d 41c83b0e a20bc7c6 6d5451fd",
    ),
    (
        "243f6a88 85a308d3 13198a2e 03707344",
        "a4093822 299f31d0",
        "d16cfe09 94fdcceb 5001e420 24126ea1",
    ),
]


def words(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "result"), KNOWN)
def test_philox_gives_the_known_answers(counter: str, key: str, result: str) -> None:
    c0, c1, c2, c3 = (np.full(3, word, dtype=np.uint64) for word in words(counter))
    k0, k1 = words(key)
    found = philox4x32((c0, c1, c2, c3), (k0, k1))
    assert [lane.tolist() for lane in found] == [[word] * 3 for word in words(result)]


def test_a_hash_is_the_words_of_its_block() -> None:
    stream, tag = Stream(7, "select"), name_hash("layer.weight")
    block = [np.array([word], dtype=np.uint64) for word in (2, 0, tag & 0xFFFFFFFF, tag >> 32)]
    w = [int(lane[0]) for lane in philox4x32((block[0], block[1], block[2], block[3]), stream._key)]
    found = stream.hashes("layer.weight", np.array([4, 5]))
    assert found.tolist() == [w[0] << 32 | w[1], w[2] << 32 | w[3]]


@given(start=st.integers(0, 2**40), length=st.integers(1, 200), data=st.data())
def test_numbers_depend_on_position_alone(start: int, length: int, data: st.DataObject) -> None:
    stream = Stream(3, "noise")
    whole = np.arange(start, start + length)
    picked = data.draw(st.lists(st.integers(0, length - 1), max_size=20))
    hashes, normals = stream.hashes("w", whole), stream.normals("w", whole)
    assert np.array_equal(stream.hashes("w", whole[picked]), hashes[picked])
    few = stream.normals("w", whole[picked]).astype(np.float32)
    np.testing.assert_array_max_ulp(few, normals[picked].astype(np.float32), maxulp=1)


def test_seed_purpose_and_name_each_make_another_stream() -> None:
    at = np.arange(1000)
    found = [
        Stream(seed, purpose).hashes(name, at)
        for seed in (0, 1)
        for purpose in ("select", "noise")
        for name in ("a", "b")
    ]
    assert len(np.unique(np.concatenate(found))) == 8 * 1000


def test_hashes_are_spread_evenly() -> None:
    hashes = Stream(0, "select").hashes("w", np.arange(160_000))
    counts = np.bincount((hashes >> np.uint64(60)).astype(int), minlength=16)
    chi_squared = ((counts - 10_000) ** 2 / 10_000).sum()
    assert chi_squared < 37.7  # one in a thousand at 15 degrees of freedom


def test_normals_are_standard_normal() -> None:
    from scipy.stats import kstest

    normals = Stream(1, "noise").normals("w", np.arange(200_000))
    assert kstest(normals, "norm").pvalue > 1e-3
    assert abs(np.corrcoef(normals[::2], normals[1::2])[0, 1]) < 0.01
    assert np.abs(normals).max() < 6.8
