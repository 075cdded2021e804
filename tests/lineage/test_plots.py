"""The pictures are drawn from plain numbers, alike each time, whatever the numbers are."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from expunge.lineage import plots
from expunge.lineage.plots import MarginPair, SplitAccuracy
from tests.lineage.gallery import GALLERY, Layer, pair, said

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize("name", GALLERY)
def test_equal_figures_are_equal_bytes_as_wide_as_mlflow_shows_them(name: str) -> None:
    import matplotlib as mpl

    once = plots.to_png(GALLERY[name]())
    with mpl.rc_context({"font.size": 20, "savefig.bbox": "tight", "axes.grid": True}):
        again = plots.to_png(GALLERY[name]())  # a user's own settings change nothing
    assert once == again
    assert once.startswith(PNG)
    assert int.from_bytes(once[16:20], "big") == 960


@pytest.mark.parametrize("name", GALLERY)
def test_nothing_is_drawn_beyond_the_edge_of_the_picture(name: str) -> None:
    figure = GALLERY[name]()
    figure.draw_without_rendering()
    drawn, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert drawn.x0 >= -0.01
    assert drawn.y0 >= -0.01
    assert drawn.x1 <= width + 0.01
    assert drawn.y1 <= height + 0.01


def test_drawing_touches_no_global_state_of_matplotlib() -> None:
    import matplotlib as mpl

    before, loaded = mpl.rcParams.copy(), "matplotlib.pyplot" in sys.modules
    plots.to_png(plots.training_curves({"loss": [1.0, 0.5], "validation": [1.1, 0.7]}))
    assert mpl.rcParams.copy() == before
    assert ("matplotlib.pyplot" in sys.modules) == loaded


def test_score_distributions_name_both_sides_and_their_aucs() -> None:
    before = MarginPair(pair(3).forget, pair(3).held_out, 0.7, 0.88)
    texts = said(plots.score_distributions(before, pair(0, auc=0.5)))
    assert "Champion, before: membership AUC 0.70, on hard rows 0.88" in texts
    assert "Candidate, after: membership AUC 0.50" in texts
    assert {"held-out rows (200)", "forgotten rows (200)"} <= texts


def test_score_distributions_lose_no_row_and_split_no_bar_at_zero() -> None:
    from matplotlib.patches import StepPatch

    figure = plots.score_distributions(pair(3), pair(0))
    patches = [each for each in figure.findobj(StepPatch) if isinstance(each, StepPatch)]
    assert len(patches) == 8
    for patch in patches:
        values, edges, _ = patch.get_data()
        assert values.sum() == pytest.approx(1)
        assert np.abs(edges).min() == pytest.approx(0)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (pair(0, rows=0), pair(0, rows=0)),
        (MarginPair(np.array([np.inf, -np.inf]), np.array([1.0])), pair(1, auc=None)),
        (
            MarginPair(np.full(5, 2.0), np.full(5, 2.0)),
            MarginPair(np.full(5, 2.0), np.full(5, 2.0)),
        ),
    ],
    ids=["no rows", "infinite margins", "all alike"],
)
def test_odd_scores_are_drawn_too(before: MarginPair, after: MarginPair) -> None:
    assert plots.to_png(plots.score_distributions(before, after)).startswith(PNG)


def test_accuracy_bars_show_numbers_and_name_the_reference() -> None:
    splits = [
        SplitAccuracy("forget", 1.0, 0.832, 0.81, (0.99, 1.0), (0.80, 0.87), (0.78, 0.84)),
        SplitAccuracy("held-out", 0.851, 0.845),
    ]
    texts = said(plots.accuracy_bars(splits, reference="class matched"))
    assert {"100.0%", "83.2%", "81.0%", "85.1%", "84.5%", "reference: class matched"} <= texts
    bare = said(plots.accuracy_bars(splits[1:]))
    assert not any("reference" in text for text in bare)


def test_mean_absolute_errors_are_drawn_in_the_units_of_the_label() -> None:
    splits = [
        SplitAccuracy("forget", 10.45, 25.99, 26.63, (9.8, 11.1), (22.4, 29.6)),
        SplitAccuracy("held-out", 26.79, float("nan")),
    ]
    texts = said(plots.accuracy_bars(splits, reference="people never seen", task="regression"))
    assert {"10.45", "25.99", "26.63", "26.79", "not measured"} <= texts
    assert "Mean absolute error before and after" in texts
    assert not any("%" in text for text in texts - {"Thin lines: 95 % intervals."})


def test_what_was_not_measured_is_said_to_be() -> None:
    nan = float("nan")
    accuracies = plots.accuracy_bars([SplitAccuracy("retain", nan, 0.9, None, (nan, nan))])
    assert {"not measured", "90.0%"} <= said(accuracies)
    scores = said(plots.score_distributions(pair(0, auc=nan), pair(0, auc=None)))
    assert {"Champion, before: membership AUC not measured", "Candidate, after"} <= scores


def test_the_reference_of_an_accuracy_has_its_error_drawn() -> None:
    from matplotlib.collections import LineCollection

    split = SplitAccuracy("forget", 1.0, 0.832, 0.81, reference_interval=(0.78, 0.84))
    found = plots.accuracy_bars([split]).findobj(LineCollection)
    lines = [each.get_segments() for each in found if isinstance(each, LineCollection)]
    assert any({0.78, 0.84} == set(segments[0][:, 1]) for segments in lines)


def test_sparsity_names_every_tensor_with_its_share() -> None:
    layers = [
        Layer("conv.weight", 100, 25, 25),
        Layer("fc.weight", 300, 75, 75),
        Layer("fc.bias", 0, 0, 0),
    ]
    texts = said(plots.sparsity_by_layer(layers))
    assert {"conv.weight", "25.0% of 100", "25.0% of 300", "0.0% of 0"} <= texts
    assert "Edit by layer: 25.0% of 400 parameters masked" in texts


def test_sparsity_tells_masked_from_changed_where_they_differ() -> None:
    texts = said(plots.sparsity_by_layer([Layer("fc.weight", 400, 100, 60)]))
    assert "Edit by layer: 25.0% of 400 parameters masked, 40 of them unchanged" in texts
    assert any("pale: masked, but of the same value" in text for text in texts)


def test_layer_names_lose_what_they_share_and_the_middle_of_what_is_too_long() -> None:
    long = "encoder.a_rather_long_module_name.attention.query.weight"
    layers = [Layer(f"net.{name}", 10, 1, 1) for name in (long, "head.bias")]
    texts = said(plots.sparsity_by_layer(layers))
    assert {"head.bias", "encoder.a_rathe…ion.query.weight"} <= texts
    assert any("Names are without “net.”" in text for text in texts)
    alone = said(plots.sparsity_by_layer(layers[1:]))
    assert "net.head.bias" in alone


def test_a_deep_network_is_pooled_by_module_without_losing_a_parameter() -> None:
    layers = [
        Layer(f"stage{a}.block{b}.conv{c}.weight", 1000, 10 * c, 10 * c)
        for a in range(4)
        for b in range(6)
        for c in range(3)
    ]
    texts = said(plots.sparsity_by_layer(layers))
    assert "stage3.block5" in texts
    assert "stage3.block5.conv2.weight" not in texts
    assert "Edit by layer: 1.0% of 72,000 parameters masked" in texts


def test_an_edit_of_no_tensor_says_so() -> None:
    assert "the edit record names no tensor" in said(plots.sparsity_by_layer([]))


@pytest.mark.parametrize("losses", [[], [1.0], [0.0, 0.0], [2.3, 1e-4]])
def test_short_and_flat_curves_are_drawn(losses: list[float]) -> None:
    assert plots.to_png(plots.training_curve(losses)).startswith(PNG)


def test_a_record_of_the_unlearning_can_be_drawn_as_it_is() -> None:
    from expunge.unlearning import TensorEdit

    texts = said(plots.sparsity_by_layer([TensorEdit("fc.weight", 10, 5, 5)]))
    assert "50.0% of 10" in texts
    plain = SimpleNamespace(name="fc.weight", parameters=10, masked=5, changed=5)
    assert said(plots.sparsity_by_layer([plain])) == texts
