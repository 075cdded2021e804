"""Losses of real labels: means over rows, and no row compared with the label of another."""

import pytest
import torch

from expunge.training import LOSSES, OutputError

Y = torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64)


@pytest.mark.parametrize(("name", "expected"), [("squared_error", 3.0), ("absolute_error", 5 / 3)])
@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_one_number_a_row_is_compared_with_its_own_label(name, expected, shape):
    outputs = torch.tensor([2.0, 2.0, 8.0]).reshape(shape) * torch.tensor(1.0)
    outputs = outputs - torch.tensor([0.0, 2.0, 2.0]).reshape(shape)
    found = LOSSES[name](outputs, Y)
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx(expected)


@pytest.mark.parametrize("shape", [(3, 3), (3, 1, 1), ()])
def test_other_outputs_are_refused(shape):
    with pytest.raises(OutputError, match="one number a row"):
        LOSSES["squared_error"](torch.zeros(shape), Y)
