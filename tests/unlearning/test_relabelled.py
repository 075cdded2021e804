import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import Subset, TensorDataset

from expunge.errors import TerminalError
from expunge.training import RowReader
from expunge.unlearning.relabelled import Relabelled

labels = st.lists(st.integers(0, 5), min_size=1, max_size=30)


def rows(y: list[int], begin: float) -> TensorDataset:
    x = begin + torch.arange(len(y), dtype=torch.float32)
    return TensorDataset(x[:, None], torch.tensor(y))


@settings(max_examples=50)
@given(retained=labels, forgotten=labels, seed=st.integers(0, 99))
def test_a_forgotten_row_gets_a_retained_label_that_is_not_its_own(
    retained: list[int], forgotten: list[int], seed: int
) -> None:
    retained = [*retained, 0, 1]
    joined = Relabelled(rows(retained, 0), rows(forgotten, 100), seed)
    for own, given_label in zip(forgotten, joined.labels.tolist(), strict=True):
        assert given_label != own
        assert given_label in retained


def test_labels_are_even_over_the_others() -> None:
    joined = Relabelled(rows([0, 1, 3, 4], 0), rows([1] * 6000, 100), 0)
    counts = np.bincount(joined.labels.numpy(), minlength=5)
    assert counts[1] == counts[2] == 0
    assert all(1800 < counts[label] < 2200 for label in (0, 3, 4))


def test_batches_come_in_the_order_asked_for() -> None:
    joined = Relabelled(rows([0, 1, 2], 0), rows([1, 2], 100), 0)
    order = torch.tensor([4, 0, 3, 2])
    x, y = RowReader(joined).read(order)
    assert x.flatten().tolist() == [101.0, 0.0, 100.0, 2.0]
    assert y[1] == 0
    assert y[3] == 2
    assert torch.equal(y[[2, 0]], joined.labels)
    assert [float(joined[at][0]) for at in range(len(joined))] == [0, 1, 2, 100, 101]


def test_the_seed_decides_and_splits_may_be_subsets() -> None:
    retain, forget = rows([0, 1, 2] * 9, 0), Subset(rows([0, 1, 2] * 9, 100), list(range(20)))
    drawn = [Relabelled(retain, forget, seed).labels for seed in (1, 1, 2)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_one_class_leaves_no_other_label() -> None:
    with pytest.raises(TerminalError, match="one label"):
        Relabelled(rows([1, 1], 0), rows([1], 100), 0)
    assert Relabelled(rows([1, 1], 0), rows([2], 100), 0).labels.tolist() == [1]
