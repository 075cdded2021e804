import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from expunge.evaluation import EvaluationError
from expunge.evaluation.spdgan.generator import Architecture, Generator, build_generator
from tests.evaluation.spdgan.rows import CATEGORICAL, People, written

SHAPES = st.one_of(
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9)),
    st.tuples(st.integers(1, 12)),
)


def rows_of(shape, n=6, seed=0):
    draw = np.random.default_rng(seed)
    size = 10.0 ** draw.integers(-2, 3, size=(shape[0],) + (1,) * (len(shape) - 1))
    x = (draw.normal(3, 1, (n, *shape)) * size).astype(np.float32)
    return People(x, np.arange(n) % 2, np.arange(n))


@given(SHAPES, st.floats(0.01, 2))
@settings(max_examples=30)
def test_no_place_moves_by_more_than_epsilon_standard_deviations(shape, epsilon):
    rows = rows_of(shape)
    generator = build_generator(rows, 4)
    generator.epsilon = epsilon
    x = torch.from_numpy(rows.x)
    moved = generator(x)
    assert moved.shape == x.shape
    assert bool(((moved - x).abs() <= epsilon * generator.scale * (1 + 1e-5) + 1e-3).all())


@given(SHAPES)
@settings(max_examples=15)
def test_with_epsilon_zero_rows_come_back_bit_for_bit(shape):
    rows = rows_of(shape)
    rows.x.flat[0] = -0.0
    x = torch.from_numpy(rows.x)
    same = build_generator(rows, 4)(x)
    assert same.numpy().tobytes() == rows.x.tobytes()
    assert same.data_ptr() != x.data_ptr()


def test_the_scale_is_the_standard_deviation_of_a_feature_or_of_a_channel():
    table, image = rows_of((5,), n=50), rows_of((3, 4, 5), n=50)
    by_feature, by_channel = build_generator(table, 2), build_generator(image, 2)
    np.testing.assert_allclose(by_feature.scale, table.x.std(axis=0), rtol=1e-4)
    np.testing.assert_allclose(by_channel.scale.flatten(), image.x.std(axis=(0, 2, 3)), rtol=1e-4)
    np.testing.assert_allclose(by_channel.mean.flatten(), image.x.mean(axis=(0, 2, 3)), rtol=1e-4)


def test_categorical_and_constant_columns_stay_bit_for_bit():
    rows = rows_of((6,), n=40)
    rows.x[:, 3] = -0.0
    rows.x[:, 4] = 0.1
    generator = build_generator(rows, 4, categorical=[1])
    generator.epsilon = 1.0
    moved = generator(torch.from_numpy(rows.x)).detach().numpy()
    for column in (1, 3, 4):
        assert moved[:, column].tobytes() == rows.x[:, column].tobytes()
    assert (moved[:, [0, 2, 5]] != rows.x[:, [0, 2, 5]]).any(axis=0).all()


def test_the_fitted_table_generator_leaves_categories_alone(tabular):
    x = torch.from_numpy(tabular.tune.x)
    moved, columns = tabular.fitted.generator(x), list(CATEGORICAL)
    assert tabular.fitted.epsilon > 0
    assert moved[:, columns].numpy().tobytes() == x[:, columns].numpy().tobytes()
    free = [column for column in range(x.shape[1]) if column not in CATEGORICAL]
    assert bool((moved[:, free] != x[:, free]).any(dim=0).all())


def test_the_same_net_scales_with_epsilon():
    rows = written(0, 2)
    generator, x = build_generator(rows, 4), torch.from_numpy(rows.x)
    changes = []
    for generator.epsilon in (0.1, 0.4):
        changes.append((generator(x) - x).detach())
    torch.testing.assert_close(changes[1], 4 * changes[0], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("shape", [(), (1, 2, 3, 4), (0,)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(EvaluationError, match="no generator for rows of the shape"):
        Architecture(shape, 4)


@pytest.mark.parametrize(("shape", "column"), [((4,), 4), ((4,), -1), ((1, 4, 4), 0)])
def test_categorical_columns_must_be_columns_of_a_vector(shape, column):
    with pytest.raises(EvaluationError, match="are not columns"):
        Generator(Architecture(shape, 4, (column,)))
