"""Perturbation, unlearning degree and the membership attack, drawn as they are, not prettier."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from expunge.lineage import plots
from expunge.lineage.plots import Attack
from tests.lineage.gallery import Curve, Grid, curve, grid, metric, said, unknown


def images(figure: Any) -> list[Any]:
    from matplotlib.image import AxesImage

    return list(figure.findobj(AxesImage))


@pytest.mark.parametrize("shape", [(8, 8), (1, 8, 8), (3, 8, 8), (2, 6, 9)])
def test_each_class_has_its_original_perturbed_and_residual_picture(shape: tuple[int, ...]) -> None:
    figure = plots.perturbation_grid(grid(shape, 4), classes={0: "coat"})
    assert len(images(figure)) == 12
    assert {"coat", "1", "2", "3", "original", "perturbed", "residual"} <= said(figure)


def test_the_residual_is_centred_on_zero_and_its_scale_is_said() -> None:
    rows = grid((1, 8, 8), 4, size=0.25)
    figure = plots.perturbation_grid(rows)
    limit = float(np.abs(rows.residual[:4]).max())
    signed = [each.get_clim() for each in images(figure) if each.get_cmap().name == "RdBu_r"]
    assert len(signed) == 4
    assert all(low == -high == pytest.approx(-limit) for low, high in signed)
    assert {f"−{limit:.2g}", "0", f"+{limit:.2g}"} <= said(figure)


def test_the_size_of_each_residual_is_said_beside_its_row() -> None:
    rows = np.ones((2, 1, 4, 4))
    figure = plots.perturbation_grid(Grid(rows, 1.1 * rows, 0.1 * rows, np.array([0, 1])))
    assert "10%" in said(figure)


def test_at_most_ten_classes_are_shown_and_the_rest_are_counted() -> None:
    figure = plots.perturbation_grid(grid((1, 4, 4), 37))
    assert len(images(figure)) == 30
    assert "What the generator changes: one held-out row of 10 of 37 classes" in said(figure)


def test_a_spectrogram_has_low_frequencies_below() -> None:
    figure = plots.perturbation_grid(grid((1, 8, 8), 2), spectrogram=True)
    assert {each.origin for each in images(figure)} == {"lower"}
    assert any("frequency upwards" in text for text in said(figure))


def test_vectors_are_strips_in_units_of_each_feature_with_untouched_ones_counted() -> None:
    rows = grid((3,), 2)
    scale = np.array([1.0, 1e4, 1.0])
    residual = rows.residual * scale * [1, 1, 0]
    wide = Grid(rows.original * scale, rows.original * scale + residual, residual, rows.labels)
    figure = plots.perturbation_grid(wide, features=("age", "income", "sex"))
    spread = wide.original.std(axis=0)
    np.testing.assert_allclose(images(figure)[2].get_array(), residual[:2] / spread)
    texts = said(figure)
    assert {"age", "income", "sex"} <= texts
    assert "In standard deviations of each feature over 6 rows. 1 of 3 features untouched." in texts


@pytest.mark.parametrize("shape", [(1, 1, 6), (2, 2, 2, 2)], ids=["flat picture", "four axes"])
def test_other_shapes_are_drawn_as_vectors(shape: tuple[int, ...]) -> None:
    assert len(images(plots.perturbation_grid(grid(shape, 2)))) >= 3


def test_rows_with_missing_numbers_and_no_rows_at_all_are_drawn() -> None:
    rows = grid((1, 4, 4), 2)
    rows.original[0, 0, 0, 0] = np.nan
    assert plots.to_png(plots.perturbation_grid(rows)).startswith(b"\x89PNG")
    nothing = Grid(*(np.zeros((0, 1, 4, 4)) for _ in range(3)), np.zeros(0))
    assert "no held-out row to show" in said(plots.perturbation_grid(nothing))


def test_the_degree_stands_beside_its_controls_with_intervals_in_points() -> None:
    figure = plots.unlearning_degree(
        metric(0.158),
        unseen=metric(0.042),
        sign_noise=metric(0.149),
        calibrated=metric(0.116),
        normalised=metric(0.86, 0.13),
    )
    texts = said(figure)
    assert {"champion, before", "0 by definition", "control: unseen people"} <= texts
    assert {"+15.8  (+11.9 … +19.7)", "+4.2  (+0.3 … +8.1)", "+14.9  (+11.0 … +18.8)"} <= texts
    assert "0.86  (0.61 … 1.11)" in texts
    assert "exact retrain" not in texts


def test_what_is_undefined_is_named_with_its_reason_and_what_was_not_measured_too() -> None:
    figure = plots.unlearning_degree(
        unknown("no ε in the band: not resolvable"), normalised=unknown("the denominator is 0.03")
    )
    texts = said(figure)
    assert {"no ε in the band: not resolvable", "the denominator is 0.03"} <= texts
    assert "not measured" in texts
    assert len(figure.axes) == 2
    assert len(plots.unlearning_degree(metric(0.1)).axes) == 1


def test_a_ratio_without_an_end_is_said_to_be_unbounded() -> None:
    open_ended = replace(metric(0.9), low=-np.inf, high=np.inf)
    figure = plots.unlearning_degree(metric(0.1), normalised=open_ended)
    assert "0.90  (unbounded)" in said(figure)
    assert plots.to_png(figure).startswith(b"\x89PNG")


def test_the_attack_names_its_aucs_and_the_chance_line() -> None:
    champion, candidate = Attack(curve(0.3), metric(0.77)), Attack(curve(0.8), unknown("no rows"))
    texts = said(plots.attack_roc(champion, candidate, held_out_rows=2_000, rows="hard rows"))
    assert {"champion: AUC 0.77 (0.73 – 0.81)", "chance: AUC 0.50"} <= texts
    assert "candidate: AUC not measured (no rows)" in texts
    assert "Membership attack: forgotten hard rows told from unseen ones" in texts
    assert not any("exact retrain: AUC" in text for text in texts)


@pytest.mark.parametrize(("held_out", "start"), [(20_000, 1e-3), (200, 1 / 200), (3, 0.1)])
def test_both_axes_start_at_one_false_alarm_and_never_below_a_thousandth(
    held_out: int, start: float
) -> None:
    figure = plots.attack_roc(
        Attack(curve(0.3, held_out)), Attack(curve(0.9, held_out)), held_out_rows=held_out
    )
    (axis,) = figure.axes
    assert axis.get_xlim()[0] == axis.get_ylim()[0] == pytest.approx(start)
    assert axis.get_xscale() == axis.get_yscale() == "log"


def test_a_curve_begins_at_the_rate_it_has_where_the_axis_begins_and_ends_at_one() -> None:
    steps = Curve(*(np.array(each) for each in ([0, 1e-4, 0.1, 1], [0, 0.2, 0.5, 1])), 0, 0)
    steps = replace(steps, low=steps.tpr, high=steps.tpr)
    figure = plots.attack_roc(Attack(steps), Attack(curve(1.0)), held_out_rows=5_000)
    line = next(each for each in figure.axes[0].lines if "champion" in str(each.get_label()))
    np.testing.assert_allclose(line.get_xdata(), [1e-3, 0.1, 1, 1])
    np.testing.assert_allclose(line.get_ydata(), [0.2, 0.5, 1, 1])


def test_an_attack_that_names_nobody_lies_on_the_floor() -> None:
    none = Curve(np.array([0.01, 1.0]), *(np.array([0.0, 1.0]) for _ in range(3)))
    figure = plots.attack_roc(Attack(none), Attack(none), held_out_rows=100)
    lowest = min(np.min(line.get_ydata()) for line in figure.axes[0].lines)
    assert lowest == pytest.approx(0.01)
    assert plots.to_png(figure).startswith(b"\x89PNG")
