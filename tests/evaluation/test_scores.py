import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import logsumexp
from torch import nn

from expunge.evaluation import EvaluationError, score, scores_of_logits

LOGITS = arrays(
    np.float64, st.tuples(st.integers(1, 8), st.integers(2, 6)), elements=st.floats(-1e4, 1e4)
)


@given(LOGITS)
def test_margin_and_loss_agree_with_scipy_whatever_the_size_of_the_logits(logits):
    labels = np.arange(len(logits)) % logits.shape[1]
    found = scores_of_logits(logits, labels, np.arange(len(logits)))
    rows = np.arange(len(logits))
    own = logits[rows, labels]
    others = np.array([logsumexp(np.delete(z, y)) for z, y in zip(logits, labels, strict=True)])
    np.testing.assert_allclose(found.margin, own - others, rtol=1e-12, atol=1e-9)
    np.testing.assert_allclose(found.loss, logsumexp(logits, axis=1) - own, rtol=1e-9, atol=1e-9)
    assert np.array_equal(found.correct, logits.argmax(axis=1) == labels)


def test_margins_still_differ_where_a_float32_loss_is_exactly_zero():
    logits = torch.tensor([[40.0, 0.0, 0.0], [60.0, 0.0, 0.0]])
    labels = torch.tensor([0, 0])
    loss = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    assert loss.tolist() == [0.0, 0.0]
    found = scores_of_logits(logits.numpy(), labels.numpy(), np.arange(2))
    assert found.margin[1] - found.margin[0] == pytest.approx(20)
    assert found.loss[0] > found.loss[1] > 0


def test_a_hand_computed_case_of_two_classes():
    found = scores_of_logits(np.array([[2.0, 5.0]]), np.array([0]), np.array([7]))
    assert found.margin[0] == -3.0
    assert found.loss[0] == pytest.approx(np.log(1 + np.exp(3)))
    assert not found.correct[0]


def test_nan_outputs_and_labels_out_of_range_are_refused():
    with pytest.raises(EvaluationError, match="1 of 1 margins are NaN"):
        scores_of_logits(np.array([[np.nan, 1.0]]), np.array([0]), np.array([0]))
    with pytest.raises(EvaluationError, match="2 classes"):
        scores_of_logits(np.zeros((1, 2)), np.array([2]), np.array([0]))


def test_subject_codes_are_not_in_the_repr():
    found = scores_of_logits(np.zeros((1, 2)), np.array([0]), np.array([424242]))
    assert "424242" not in repr(found)


class Rows(torch.utils.data.Dataset):
    def __init__(self, x: torch.Tensor, y: torch.Tensor) -> None:
        self.x, self.y = x, y
        self.labels, self.subject_codes = y.numpy(), np.arange(len(y)) // 2

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.x[row], self.y[row]


def test_a_model_is_scored_row_by_row_in_order():
    model = nn.Linear(4, 3)
    rows = Rows(torch.randn(10, 4), torch.arange(10) % 3)
    found = score(model, rows, device="cpu", batch_size=4)
    expected = nn.functional.cross_entropy(model(rows.x), rows.y, reduction="none")
    np.testing.assert_allclose(found.loss, expected.detach().numpy(), rtol=1e-5)
    assert found.subjects.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
