from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torchmetrics.functional.image import structural_similarity_index_measure

from expunge.evaluation import EvaluationError
from expunge.evaluation.spdgan import Calibration, Visibility, visibility
from expunge.evaluation.spdgan.ssim import ssim, window_of
from tests.evaluation.spdgan.rows import table


def by_scipy(a, b, data_range):
    """As scikit-image has it: whole-image Gaussian filters, the border cropped."""
    blur = lambda image: gaussian_filter(image, 1.5, truncate=3.5)  # noqa: E731
    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
    covariance = blur(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    whole = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    whole /= (mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)
    return whole[5:-5, 5:-5].mean()


def test_similarity_agrees_with_an_independent_implementation():
    draw = np.random.default_rng(0)
    a = draw.random((3, 1, 17, 22))
    b = a + draw.normal(0, 0.2, a.shape)
    found = ssim(torch.from_numpy(a), torch.from_numpy(b), data_range=1.0)
    expected = [by_scipy(x[0], y[0], 1.0) for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-10)


def test_similarity_agrees_with_torchmetrics():
    draw = torch.Generator().manual_seed(1)
    a, b = torch.rand(2, 4, 1, 20, 23, generator=draw, dtype=torch.float64)
    _, places = structural_similarity_index_measure(
        a, b, data_range=1.0, reduction="none", return_full_image=True
    )
    inside = places[..., 5:-5, 5:-5].mean(dim=(1, 2, 3))  # it mirrors the border, we leave it out
    np.testing.assert_allclose(ssim(a, b, data_range=1.0).numpy(), inside.numpy(), rtol=1e-6)


def test_similarity_of_flat_images_by_hand_and_of_an_image_with_itself():
    a, b = torch.full((1, 2, 5, 7), 0.5), torch.full((1, 2, 5, 7), 0.3)
    assert float(ssim(a, b, data_range=1.0)) == pytest.approx((0.3 + 1e-4) / (0.34 + 1e-4))
    x = torch.rand(2, 3, 9, 4)
    assert ssim(x, x, data_range=1.0).tolist() == pytest.approx([1, 1])
    assert (window_of(28, 28), window_of(9, 4), window_of(2, 9)) == (11, 3, 1)


@pytest.fixture(scope="module")
def seen(digits):
    return visibility(digits.fitted, digits.fit, seed=1, device="cpu", steps=60)


def test_the_size_is_that_of_the_residual(digits, seen):
    x = digits.fit.x.reshape(len(digits.fit), -1).astype(np.float64)
    with torch.no_grad():
        moved = digits.fitted.generator(torch.from_numpy(digits.fit.x)).numpy().reshape(x.shape)
    expected = np.linalg.norm(moved - x, axis=1) / np.linalg.norm(x, axis=1)
    assert seen.relative_l2.value == pytest.approx(expected.mean(), rel=1e-5)
    assert seen.relative_l2.n == len(digits.fit)
    assert 0 < seen.ssim.value < 1


def test_a_fresh_discriminator_is_asked_about_other_people(digits, seen):
    eye = seen.discriminator_accuracy
    assert eye.n == len(digits.fit) // 2
    assert eye.degrees == len(np.unique(digits.fit.subject_codes)) // 2 - 1
    assert 0.5 < eye.low <= eye.value <= eye.high <= 1


def test_an_invisible_perturbation_is_invisible(digits):
    generator = digits.fitted.generator_on("cpu")
    generator.epsilon = 0.0
    still = replace(digits.fitted, generator=generator, calibration=Calibration(0.0, (), "none"))
    seen = visibility(still, digits.fit, seed=1, device="cpu", steps=60)
    assert (seen.relative_l2.value, seen.ssim.value) == (0, 1)
    assert seen.discriminator_accuracy.value == 0.5


def test_a_table_has_a_size_in_deviations_and_no_structure(tabular):
    seen = visibility(tabular.fitted, tabular.fit, seed=1, device="cpu", steps=60)
    assert seen.ssim.undefined == "tabular rows have no structure in space"
    assert 0 < seen.relative_l2.value < 1.5 * tabular.fitted.epsilon
    assert seen.discriminator_accuracy.undefined is None


def test_the_record_holds_the_same_values(seen, tabular):
    record = seen.to_json()
    assert set(record) == {"relative_l2", "ssim", "discriminator_accuracy"}
    assert Visibility.from_json(record) == seen
    with pytest.raises(EvaluationError, match="Visibility"):
        Visibility.from_json({"ssim": record["ssim"]})


def test_no_rows_and_rows_of_another_shape(digits):
    nothing = visibility(
        digits.fitted, digits.fit.take(slice(0, 0)), seed=0, device="cpu", steps=60
    )
    assert nothing.relative_l2.undefined == nothing.ssim.undefined == "no rows"
    with pytest.raises(EvaluationError, match="fitted on rows of the shape"):
        visibility(digits.fitted, table(), seed=0, device="cpu", steps=60)


def test_one_person_alone_cannot_be_split(digits):
    one = digits.fit.take(slice(0, 20))
    found = visibility(digits.fitted, one, seed=0, device="cpu", steps=60).discriminator_accuracy
    assert found.undefined == "rows of one person cannot be split by person"
