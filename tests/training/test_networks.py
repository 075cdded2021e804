from pathlib import Path

import pytest
import torch
from torch.nn.modules.batchnorm import _NormBase

from expunge.specs import load_model_spec
from expunge.training import FactoryError, load_factory

MODELS = Path(__file__).parents[2] / "models"


def test_every_reference_spec_builds_its_network() -> None:
    specs = [load_model_spec(path) for path in sorted(MODELS.glob("*.yaml"))]
    assert {"digits-cnn"} <= {spec.name for spec in specs}
    for spec in specs:
        network = load_factory(spec.factory, MODELS, spec.args).build(spec.recipe.seed)
        assert not [layer for layer in network.modules() if isinstance(layer, _NormBase)]
        assert spec.ladder[-1].strategy == "exact_retrain"


def test_the_small_cnn_reads_images_of_the_shape_it_was_told() -> None:
    args = {"classes": 7, "shape": [3, 12, 8], "channels": [4, 8], "hidden": 16}
    network = load_factory("small_cnn.py:SmallCNN", MODELS, args).build(0)
    assert network(torch.zeros(2, 3, 12, 8)).shape == (2, 7)


def test_the_small_cnn_refuses_a_side_it_cannot_halve_twice() -> None:
    factory = load_factory("small_cnn.py:SmallCNN", MODELS, {"shape": [1, 10, 16]})
    with pytest.raises(FactoryError, match="multiples of 4, not 10×16"):
        factory.build(0)


def test_the_mlp_flattens_whatever_it_is_given() -> None:
    args = {"inputs": 12, "classes": 3, "hidden": [8]}
    network = load_factory("mlp.py:MLP", MODELS, args).build(0)
    assert network(torch.zeros(5, 3, 4)).shape == (5, 3)
