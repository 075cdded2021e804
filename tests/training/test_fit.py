from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import Dataset, Subset, TensorDataset

from expunge.specs import Recipe
from expunge.training import (
    DivergedError,
    Epoch,
    RowError,
    RowReader,
    derived_seed,
    fit,
    labels,
    predict,
    save_weights,
    seeded,
)
from expunge.training.schedule import learning_rate_factor


def rows(count: int = 90, seed: int = 0) -> TensorDataset:
    draw = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 3, (count,), generator=draw)
    x = torch.randn(count, 6, generator=draw) + 4 * nn.functional.one_hot(y, 6)
    return TensorDataset(x, y)


def network() -> nn.Module:
    return seeded(
        lambda: nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 3))
    ).build(0)


class OneByOne(Dataset[tuple[torch.Tensor, int]]):
    def __init__(self, inner: TensorDataset) -> None:
        self.inner = inner

    def __len__(self) -> int:
        return len(self.inner)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        x, y = self.inner[index]
        return x, int(y)


class InBatches(OneByOne):
    def __getitems__(self, indices: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        x, y = self.inner.tensors
        return x[indices], y[indices]


def test_training_learns() -> None:
    model, given_rows = network(), rows()
    history = fit(
        model, given_rows, Recipe(epochs=20, lr=1e-2), cross_entropy, seed=0, device="cpu"
    )
    accuracy = (predict(model, given_rows, device="cpu").argmax(1) == given_rows.tensors[1]).float()
    assert accuracy.mean() > 0.85
    assert history.epochs[-1].loss < history.epochs[0].loss


def test_the_same_seed_gives_the_same_bytes_whatever_else_drew_numbers(tmp_path: Path) -> None:
    for name, noise in (("a", 0), ("b", 17)):
        torch.manual_seed(noise)
        torch.rand(noise)
        model = network()
        fit(model, rows(), Recipe(epochs=2), cross_entropy, seed=4, device="cpu")
        save_weights(model, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_another_seed_gives_another_network() -> None:
    models = [network(), network()]
    for seed, model in enumerate(models):
        fit(model, rows(), Recipe(epochs=1), cross_entropy, seed=seed, device="cpu")
    assert not torch.equal(models[0].get_parameter("0.weight"), models[1].get_parameter("0.weight"))


def test_training_leaves_random_state_kernels_and_modes_as_they_were() -> None:
    model = network().eval()
    torch.manual_seed(9)
    expected = torch.rand(2)
    torch.manual_seed(9)
    fit(model, rows(), Recipe(epochs=1), cross_entropy, seed=0, device="cpu")
    assert torch.equal(torch.rand(2), expected)
    assert not torch.are_deterministic_algorithms_enabled()
    assert not any(module.training for module in model.modules())
    assert all(weight.grad is None for weight in model.parameters())


@pytest.mark.parametrize("wrap", [OneByOne, InBatches, lambda inner: Subset(inner, range(90))])
def test_every_kind_of_dataset_trains_to_the_same_weights(wrap: type[OneByOne]) -> None:
    plain, wrapped = network(), network()
    fit(plain, rows(), Recipe(epochs=1), cross_entropy, seed=1, device="cpu")
    fit(wrapped, wrap(rows()), Recipe(epochs=1), cross_entropy, seed=1, device="cpu")
    assert torch.equal(plain.get_parameter("0.weight"), wrapped.get_parameter("0.weight"))


@settings(max_examples=25)
@given(
    count=st.integers(1, 60),
    batch_size=st.integers(1, 70),
    epochs=st.floats(0.05, 3.0),
)
def test_fractional_epochs_read_that_share_of_the_rows(
    count: int, batch_size: int, epochs: float
) -> None:
    recipe = Recipe(epochs=epochs, batch_size=batch_size)
    model = seeded(lambda: nn.Linear(6, 3)).build(0)
    history = fit(model, rows(count), recipe, cross_entropy, seed=0, device="cpu")
    per_epoch = -(-count // batch_size)
    assert history.steps == max(1, round(epochs * per_epoch))
    assert abs(history.samples - history.steps * count / per_epoch) <= history.steps


def test_one_whole_epoch_reads_every_row_once() -> None:
    seen: list[int] = []

    class Watched(OneByOne):
        def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
            seen.append(index)
            return super().__getitem__(index)

    fit(
        network(),
        Watched(rows(33)),
        Recipe(epochs=1, batch_size=8),
        cross_entropy,
        seed=0,
        device="cpu",
    )
    assert sorted(seen) == list(range(33))
    assert seen != list(range(33))


def test_a_batch_norm_never_meets_a_batch_of_one() -> None:
    model = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
    recipe = Recipe(epochs=1, batch_size=8)
    assert fit(model, rows(33), recipe, cross_entropy, seed=0, device="cpu").steps == 5


def test_progress_is_told_and_may_stop_the_run() -> None:
    told: list[Epoch] = []
    history = fit(
        network(),
        rows(),
        Recipe(epochs=5),
        cross_entropy,
        seed=0,
        device="cpu",
        on_epoch=told.append,
        stop=lambda epoch: epoch.number == 2,
    )
    assert tuple(told) == history.epochs
    assert [(epoch.number, epoch.of) for epoch in told] == [(1, 5), (2, 5)]


@pytest.mark.parametrize("schedule", ["one_cycle", "constant"])
def test_divergence_is_an_error(schedule: str) -> None:
    recipe = Recipe.model_validate({"epochs": 3, "lr": 10.0, "schedule": schedule, "warmup": 0})
    with pytest.raises(DivergedError, match="epoch 1"):
        fit(
            network(),
            rows(),
            recipe,
            lambda z, y: cross_entropy(z * 1e38, y) ** 2,
            seed=0,
            device="cpu",
        )


def test_rows_that_are_none_or_no_pairs_are_told() -> None:
    recipe = Recipe(epochs=1)
    with pytest.raises(RowError, match="no rows"):
        fit(network(), Subset(rows(), []), recipe, cross_entropy, seed=0, device="cpu")
    with pytest.raises(RowError, match="TensorDataset of 1"):
        fit(
            network(), TensorDataset(torch.zeros(4, 6)), recipe, cross_entropy, seed=0, device="cpu"
        )
    with pytest.raises(RowError, match="not a map-style"):
        RowReader(iter([1]))  # type: ignore[arg-type]


def test_rows_that_do_not_stack_are_told_without_their_content() -> None:
    ragged = [(torch.full((size,), 123456.0), 0) for size in (2, 3)]
    with pytest.raises(RowError) as caught:
        RowReader(ragged).read(torch.tensor([0, 1]))
    assert "123456" not in str(caught.value)


def test_predictions_keep_order_and_mode_and_read_no_dropout() -> None:
    model, given_rows = network().train(), rows()
    whole = predict(model, given_rows, device="cpu")
    parts = predict(model, given_rows, device="cpu", batch_size=7)
    assert whole.shape == (90, 3)
    assert whole.dtype == torch.float32
    torch.testing.assert_close(whole, parts)
    assert model.training


@pytest.mark.parametrize("wrap", [OneByOne, InBatches, lambda inner: inner])
def test_labels_are_read_from_any_dataset(wrap: type[OneByOne]) -> None:
    expected = rows().tensors[1].numpy()
    assert np.array_equal(labels(wrap(rows())), expected)
    picked = labels(Subset(wrap(rows()), [5, 3]))
    assert picked.dtype == np.int64
    assert picked.tolist() == expected[[5, 3]].tolist()


@given(steps=st.integers(1, 500), warmup=st.floats(0, 0.9))
def test_one_cycle_rises_then_falls_within_bounds(steps: int, warmup: float) -> None:
    recipe = Recipe(epochs=1, warmup=warmup)
    factors = [learning_rate_factor(step, steps, recipe) for step in range(steps)]
    peak = int(np.argmax(factors))
    assert all(0 < factor <= 1 for factor in factors)
    assert factors[: peak + 1] == sorted(factors[: peak + 1])
    assert factors[peak:] == sorted(factors[peak:], reverse=True)


def test_seeds_of_different_purposes_differ() -> None:
    seeds = {derived_seed(seed, purpose) for seed in range(50) for purpose in ("a", "b", "1")}
    assert len(seeds) == 150
    assert all(0 <= seed < 2**63 for seed in seeds)
