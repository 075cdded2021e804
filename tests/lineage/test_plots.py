"""The pictures are drawn from plain numbers, alike each time, whatever the numbers are."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
import pytest

from expunge.lineage import plots
from expunge.lineage.plots import MarginPair, SplitAccuracy

PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Layer:
    name: str
    parameters: int
    masked: int


def pair(shift: float, rows: int = 200, auc: float | None = 0.7) -> MarginPair:
    draw = np.random.default_rng(3).normal
    return MarginPair(draw(shift, 2, rows), draw(0, 2, rows), auc)


def said(figure: object) -> set[str]:
    from matplotlib.text import Text

    return {text.get_text() for text in figure.findobj(Text)}  # type: ignore[attr-defined]


def test_equal_figures_are_equal_bytes_of_the_size_that_mlflow_shows() -> None:
    once, again = (plots.to_png(plots.training_curve([2.0, 1.0, 0.5])) for _ in range(2))
    assert once == again
    assert once.startswith(PNG)
    width, height = (int.from_bytes(once[at : at + 4], "big") for at in (16, 20))
    assert (width, height) == (960, 540)


def test_score_distributions_name_both_sides_and_their_auc() -> None:
    texts = said(plots.score_distributions(pair(3), pair(0, auc=0.5)))
    assert {"Before   membership AUC 0.70", "After   membership AUC 0.50"} <= texts
    assert {"held-out rows (200)", "forgotten rows (200)"} <= texts


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
        SplitAccuracy("forget", 1.0, 0.832, 0.81, (0.99, 1.0), (0.80, 0.87)),
        SplitAccuracy("held-out", 0.851, 0.845),
    ]
    texts = said(plots.accuracy_bars(splits, reference="class matched"))
    assert {"100.0%", "83.2%", "85.1%", "84.5%", "reference: class matched"} <= texts
    bare = said(plots.accuracy_bars(splits[1:]))
    assert not any("reference" in text for text in bare)


def test_sparsity_names_every_tensor_with_its_share() -> None:
    layers = [Layer("conv.weight", 100, 25), Layer("fc.weight", 300, 75), Layer("fc.bias", 0, 0)]
    texts = said(plots.sparsity_by_layer(layers))
    assert {"conv.weight", "25.0% of 100", "25.0% of 300", "0.0% of 0"} <= texts
    assert "Masked parameters by layer: 25.0% of 400 in all" in texts


def test_a_deep_network_is_pooled_by_module_without_losing_a_parameter() -> None:
    layers = [
        Layer(f"stage{a}.block{b}.conv{c}.weight", 1000, 10 * c)
        for a in range(4)
        for b in range(6)
        for c in range(3)
    ]
    texts = said(plots.sparsity_by_layer(layers))
    assert "stage3.block5" in texts
    assert "stage3.block5.conv2.weight" not in texts
    assert "Masked parameters by layer: 1.0% of 72,000 in all" in texts


@pytest.mark.parametrize("losses", [[], [1.0], [0.0, 0.0], [2.3, 1e-4]])
def test_short_and_flat_curves_are_drawn(losses: list[float]) -> None:
    assert plots.to_png(plots.training_curve(losses)).startswith(PNG)


def test_drawing_touches_no_global_state_of_matplotlib() -> None:
    import matplotlib as mpl

    before, loaded = mpl.rcParams.copy(), "matplotlib.pyplot" in sys.modules
    plots.to_png(plots.training_curves({"loss": [1.0, 0.5], "validation": [1.1, 0.7]}))
    assert mpl.rcParams.copy() == before
    assert ("matplotlib.pyplot" in sys.modules) == loaded
