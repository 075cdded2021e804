import numpy as np
import pytest
import torch

from expunge.evaluation import EvaluationError
from expunge.evaluation.spdgan import example_grid
from tests.evaluation.spdgan.rows import table


@pytest.mark.parametrize("per_class", [1, 2])
def test_a_grid_has_rows_of_every_class_before_and_after(digits, per_class):
    grid = example_grid(digits.fitted, digits.held_out, per_class=per_class, seed=4)
    assert grid.labels.tolist() == np.repeat(np.arange(10), per_class).tolist()
    assert grid.original.shape == (10 * per_class, 1, 16, 16)
    assert np.array_equal(grid.residual, grid.perturbed - grid.original)
    after = digits.fitted.generator(torch.from_numpy(grid.original)).numpy()
    assert np.array_equal(grid.perturbed, after)
    rows = zip(digits.held_out.x, digits.held_out.labels, strict=True)
    given = {(row.tobytes(), label) for row, label in rows}
    drawn = zip(grid.original, grid.labels, strict=True)
    assert all((row.tobytes(), label) in given for row, label in drawn)


def test_the_same_seed_draws_the_same_rows(digits):
    grids = [example_grid(digits.fitted, digits.held_out, seed=seed) for seed in (1, 1, 2)]
    assert np.array_equal(grids[0].original, grids[1].original)
    assert not np.array_equal(grids[0].original, grids[2].original)


def test_a_table_no_rows_and_rows_of_another_shape(digits, tabular):
    grid = example_grid(tabular.fitted, tabular.tune, per_class=3, seed=0)
    assert grid.original.shape == (6, 30)
    nothing = example_grid(digits.fitted, digits.fit.take(slice(0, 0)), seed=0)
    assert nothing.original.shape == (0, 1, 16, 16)
    with pytest.raises(EvaluationError, match="fitted on rows of the shape"):
        example_grid(digits.fitted, table(), seed=0)
