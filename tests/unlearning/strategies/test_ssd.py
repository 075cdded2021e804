import math

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from expunge.errors import TerminalError
from expunge.unlearning import SSD, unlearn
from tests.unlearning.conftest import Case
from tests.unlearning.states import same, state


def product(outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Loss whose gradient in the weights of a linear network is the row itself."""
    del y
    return outputs.mean()


def rows(*x: list[float]) -> TensorDataset:
    return TensorDataset(torch.tensor(x), torch.zeros(len(x), dtype=torch.int64))


def line() -> nn.Linear:
    model = nn.Linear(4, 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, -2.0, 3.0, 4.0]]))
    return model


FORGET = rows([2.0, 0.0, 1.0, 0.0])
RETAIN = rows([1.0, 1.0, 1.0, 0.0], [0.0, 3.0, 1.0, 0.0], [1.0, 2.0, 1.0, 0.0])
# By hand, squares of rows: I_f = 4, 0, 1, 0; I_r = 2/3, 14/3, 1, 0; I_D = (I_f + 3 I_r) / 4.
IMPORTANCE = torch.tensor([(4 + 2) / 4, 14 / 4, (1 + 3) / 4, 0.0])


def test_importances_select_and_dampen_as_worked_out_by_hand() -> None:
    """I_f / I_D = 8/3, 0, 1, undefined: above α = 1.5 is the first alone, times λ · 3/8."""
    made = unlearn(line(), FORGET, RETAIN, SSD(1.5, 0.5, microbatch=1), loss=product)
    torch.testing.assert_close(
        made.model.get_parameter("weight").detach(), torch.tensor([[0.5 * 3 / 8, -2.0, 3.0, 4.0]])
    )
    assert (made.edit.masked, made.edit.changed) == (1, 1)
    assert made.edit.cost == 1 + 3


def test_a_weight_never_grows() -> None:
    """λ · I_D / I_f above 1 leaves the weight as it was: masked, and not changed."""
    made = unlearn(line(), FORGET, RETAIN, SSD(1.5, 4.0, microbatch=1), loss=product)
    assert same(made.model, line())
    assert (made.edit.masked, made.edit.changed) == (1, 0)


def test_no_parameter_matters_more_to_the_forgotten_than_their_share_allows() -> None:
    """I_f / I_D ≤ |D| / |D_f| = 4, since D holds D_f: a larger α masks nothing."""
    rare = rows([5.0, 0.0, 0.0, 0.0])
    others = rows([0.0, 1.0, 1.0, 1.0], [0.0, 1.0, 1.0, 1.0], [0.0, 1.0, 1.0, 1.0])
    masked = [
        unlearn(line(), rare, others, SSD(alpha, microbatch=1), loss=product).edit.masked
        for alpha in (3.99, 4.01)
    ]
    assert masked == [1, 0]


def test_a_parameter_that_nobody_needs_is_left_alone() -> None:
    made = unlearn(line(), FORGET, RETAIN, SSD(1e-6, 1e-6, microbatch=1), loss=product)
    assert made.model.get_parameter("weight")[0, 3] == 4.0
    assert made.model.get_parameter("weight")[0, 1] == -2.0
    assert made.edit.masked == 2


def test_a_sample_of_the_retain_split_weighs_what_the_whole_would() -> None:
    """Rows that are all alike say the same however many are read; the cost is that of the read."""
    alike = rows(*[[1.0, 1.0, 1.0, 0.0]] * 30)
    whole, sampled = (
        unlearn(line(), FORGET, alike, SSD(2.0, sample=sample), loss=product) for sample in (30, 4)
    )
    torch.testing.assert_close(
        sampled.model.get_parameter("weight"), whole.model.get_parameter("weight")
    )
    assert (whole.edit.cost, sampled.edit.cost) == (31, 5)


def test_a_microbatch_of_one_squares_each_rows_gradient() -> None:
    """Two rows that cancel have no gradient together: only alone does each count."""
    opposite = rows([1.0, 0.0, 0.0, 0.0], [-1.0, 0.0, 0.0, 0.0])
    other = rows([0.0, 1.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0])
    masked = [
        unlearn(line(), opposite, other, SSD(1.1, microbatch=size), loss=product).edit.masked
        for size in (1, 2)
    ]
    assert masked == [1, 0]


def test_it_trains_nothing_and_moves_masked_weights_alone(case: Case) -> None:
    made = unlearn(case.champion, case.forget, case.retain, SSD(alpha=1.2))
    before, after = state(case.champion), state(made.model)
    assert 0 < made.edit.changed < made.edit.parameters
    for tensor in made.edit.per_tensor:
        assert int((after[tensor.name] != before[tensor.name]).sum()) == tensor.changed
        assert bool((after[tensor.name].abs() <= before[tensor.name].abs()).all())
    assert made.edit.history is None


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan])
def test_settings_that_make_no_sense_are_refused(value: float) -> None:
    with pytest.raises(TerminalError, match="alpha, dampening"):
        SSD(alpha=value, dampening=value)
