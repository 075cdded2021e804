import gc
import tracemalloc
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from expunge.errors import TerminalError
from expunge.unlearning import Selection, bottom_k, random_k, threshold, top_k
from expunge.unlearning.parameters import spans
from expunge.unlearning.philox import Stream
from expunge.unlearning.selection import count_of

STREAM = Stream(11, "select")
few_values = st.sampled_from([0.0, 1e-45, 1e-30, 0.5, 0.5000001, 3.0, 3e38])
tensors = st.dictionaries(
    st.sampled_from(["a.weight", "a.bias", "b.weight", "c", "d"]),
    st.lists(few_values, min_size=1, max_size=60),
    min_size=1,
)
fractions = st.floats(1e-6, 1.0)


def saliencies(values: Mapping[str, list[float]]) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(row, dtype=torch.float32) for name, row in values.items()}


def masked(selection: Selection) -> set[tuple[str, int]]:
    return {
        (name, int(index))
        for name, size in selection.sizes.items()
        for index in np.flatnonzero(selection.mask(name, 0, size))
    }


def naive(given_saliencies: Mapping[str, torch.Tensor], k: int) -> set[tuple[str, int]]:
    """Sort everything by saliency down, hash, name, index."""
    ranked = []
    for name, values in given_saliencies.items():
        hashes = STREAM.hashes(name, np.arange(values.numel()))
        ranked += [
            (-float(value), int(hashes[index]), name, index) for index, value in enumerate(values)
        ]
    return {(name, index) for *_, name, index in sorted(ranked)[:k]}


@settings(max_examples=50)
@given(values=tensors, fraction=fractions)
def test_top_k_equals_a_sort_of_everything(values: dict[str, list[float]], fraction: float) -> None:
    given_saliencies = saliencies(values)
    selection = top_k(given_saliencies, fraction, STREAM)
    k = count_of(fraction, sum(map(len, values.values())))
    assert selection.masked == k
    assert masked(selection) == naive(given_saliencies, k)


@settings(max_examples=50)
@given(values=tensors, fraction=fractions)
def test_bottom_k_equals_the_same_sort_upwards(
    values: dict[str, list[float]], fraction: float
) -> None:
    given_saliencies = saliencies(values)
    selection = bottom_k(given_saliencies, fraction, STREAM)
    k = count_of(fraction, sum(map(len, values.values())))
    assert selection.masked == k
    upwards = {name: -found for name, found in given_saliencies.items()}
    assert masked(selection) == naive(upwards, k)


@settings(max_examples=50)
@given(values=tensors, fraction=fractions)
def test_ties_are_counted_where_the_hash_had_to_choose(
    values: dict[str, list[float]], fraction: float
) -> None:
    given_saliencies = saliencies(values)
    selection = top_k(given_saliencies, fraction, STREAM)
    everything = np.sort(np.concatenate([v.numpy() for v in given_saliencies.values()]))[::-1]
    at = everything[selection.masked - 1]
    split = selection.masked < everything.size and everything[selection.masked] == at
    assert selection.ties == (int((everything == at).sum()) if split else 0)


@settings(max_examples=50)
@given(values=tensors, fraction=fractions)
def test_per_layer_cuts_every_tensor_at_its_own_share(
    values: dict[str, list[float]], fraction: float
) -> None:
    given_saliencies = saliencies(values)
    selection = top_k(given_saliencies, fraction, STREAM, per_layer=True)
    for name, row in given_saliencies.items():
        mine = {place for place in masked(selection) if place[0] == name}
        assert mine == naive({name: row}, count_of(fraction, row.numel()))


@settings(max_examples=50)
@given(values=tensors, fraction=fractions)
def test_random_k_masks_exactly_the_k_smallest_hashes(
    values: dict[str, list[float]], fraction: float
) -> None:
    sizes = {name: len(row) for name, row in values.items()}
    selection = random_k(sizes, fraction, STREAM)
    flat = {name: torch.zeros(size) for name, size in sizes.items()}
    assert masked(selection) == naive(flat, count_of(fraction, sum(sizes.values())))


@settings(max_examples=50)
@given(values=tensors, fraction=fractions, order=st.randoms(use_true_random=False))
def test_the_mask_does_not_depend_on_the_order_of_tensors(
    values: dict[str, list[float]], fraction: float, order: "np.random.Generator"
) -> None:
    names = list(values)
    order.shuffle(names)
    shuffled = {name: values[name] for name in names}
    assert (
        top_k(saliencies(values), fraction, STREAM).digest()
        == top_k(saliencies(shuffled), fraction, STREAM).digest()
    )


@pytest.mark.parametrize("chunk", [8, 64, 1000])
def test_the_mask_does_not_depend_on_chunks(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = torch.Generator().manual_seed(0)
    given_saliencies = {
        name: (torch.rand(size, generator=draw) * 20).floor()
        for name, size in (("a", 999), ("b", 501))
    }
    before = top_k(given_saliencies, 0.3, STREAM), random_k({"a": 999, "b": 501}, 0.3, STREAM)
    monkeypatch.setattr(threshold, "spans", lambda length, _=0: spans(length, chunk))
    after = top_k(given_saliencies, 0.3, STREAM), random_k({"a": 999, "b": 501}, 0.3, STREAM)
    assert [one.digest() for one in before] == [one.digest() for one in after]
    for selection in after:
        parts = [selection.mask("a", start, stop) for start, stop in spans(999, chunk)]
        assert np.array_equal(np.concatenate(parts), selection.mask("a", 0, 999))


def test_equal_hashes_are_told_apart_by_name_then_index(monkeypatch: pytest.MonkeyPatch) -> None:
    def coarse(
        self: Stream, name: str, indices: "np.ndarray[tuple[int], np.dtype[np.int64]]"
    ) -> object:
        del self, name
        return (indices % 2).astype(np.uint64)

    monkeypatch.setattr(Stream, "hashes", coarse)
    selection = random_k({"b": 4, "a": 4}, 5 / 8, STREAM)
    assert masked(selection) == {("a", 0), ("a", 2), ("b", 0), ("b", 2), ("a", 1)}


@pytest.mark.parametrize(("elements", "k"), [(3, 1), (1000, 1), (1500, 2), (10**9, 10**6)])
def test_k_is_rounded_half_up_and_at_least_one(elements: int, k: int) -> None:
    assert count_of(0.001, elements) == k


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_what_cannot_be_ranked_is_refused_by_name(value: float) -> None:
    with pytest.raises(TerminalError, match="parameter 'b' is negative, NaN or infinite"):
        top_k({"a": torch.ones(3), "b": torch.tensor([1.0, value])}, 0.5, STREAM)
    with pytest.raises(TerminalError, match="parameter 'b' is negative, NaN or infinite"):
        bottom_k({"a": torch.ones(3), "b": torch.tensor([1.0, value])}, 0.5, STREAM)


def test_another_type_than_float32_is_refused() -> None:
    with pytest.raises(TerminalError, match="float64"):
        top_k({"a": torch.ones(3, dtype=torch.float64)}, 0.5, STREAM)


def ten_million() -> dict[str, torch.Tensor]:
    """Tensors of mixed size, one of 6 million; 30 % are 0 and the rest take 4,000 values."""
    draw = np.random.default_rng(5)
    sizes = [6_000_000, 2_500_000, 1_000_000, 300_000, 100_000, *[1000] * 90, *[10] * 1000]
    made = {}
    for at, size in enumerate(sizes):
        values = draw.integers(1, 4000, size).astype(np.float32) / 4000
        values[draw.random(size) < 0.3] = 0
        made[f"layer{at}.weight"] = torch.from_numpy(values)
    return made


@pytest.mark.slow
def test_ten_million_parameters_are_cut_exactly_in_little_memory() -> None:
    given_saliencies = ten_million()
    values = np.concatenate([v.numpy() for v in given_saliencies.values()])
    at = [STREAM.hashes(name, np.arange(v.numel())) for name, v in given_saliencies.items()]
    order = np.lexsort((np.concatenate(at), -values))
    for fraction, fewest_ties in ((0.05, 1_000), (0.9, 2_900_000)):
        gc.collect()
        tracemalloc.start()
        selection = top_k(given_saliencies, fraction, STREAM)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 64e6
        assert selection.ties >= fewest_ties
        expected = np.zeros(values.size, dtype=bool)
        expected[order[: count_of(fraction, values.size)]] = True
        found = [selection.mask(name, 0, size) for name, size in selection.sizes.items()]
        assert np.array_equal(np.concatenate(found), expected)
