from pathlib import Path
from typing import Any

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


NETWORKS: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "resnet.py:ResNet18": ({"classes": 4, "channels": 1, "width": 4}, (3, 1, 16, 16)),
    "tabular.py:TabularMLP": (
        {"inputs": 5, "classes": 4, "categorical": [1, 4], "levels": [3, 7], "hidden": [8]},
        (3, 5),
    ),
    "transformer.py:SequenceTransformer": (
        {"classes": 4, "length": 6, "vocabulary": 9, "model": 8, "heads": 2, "layers": 1},
        (3, 6),
    ),
}


@pytest.mark.parametrize("reference", NETWORKS)
def test_every_reference_network_gives_logits_and_is_a_function_of_its_seed(reference: str) -> None:
    args, shape = NETWORKS[reference]
    factory = load_factory(reference, MODELS, args)
    x = torch.randint(0, 3, shape).float()
    same, other = factory.build(1).eval(), factory.build(2).eval()
    logits = factory.build(1).eval()(x)
    assert logits.shape == (3, 4)
    assert torch.isfinite(logits).all()
    assert torch.equal(same(x), logits)
    assert not torch.equal(other(x), logits)


def test_the_transformer_reads_spectra_too_and_does_not_read_padding() -> None:
    args = {"classes": 2, "length": 5, "width": 3, "model": 8, "heads": 2, "layers": 1}
    spectra = load_factory("transformer.py:SequenceTransformer", MODELS, args).build(0).eval()
    x = torch.randn(2, 1, 5, 3)
    torch.testing.assert_close(spectra(x), spectra(x[:, 0]))
    words = {"classes": 2, "length": 5, "vocabulary": 9, "model": 8, "heads": 2, "layers": 1}
    tokens = load_factory("transformer.py:SequenceTransformer", MODELS, words).build(0).eval()
    short = torch.tensor([[4.0, 2.0, 0.0, 0.0, 0.0]])
    logits = tokens(short)
    with torch.no_grad():
        dict(tokens.named_parameters())["places"][2:] += 1.0
    torch.testing.assert_close(tokens(short), logits)


def test_a_category_never_seen_has_an_embedding_of_its_own() -> None:
    args = {"inputs": 2, "classes": 2, "categorical": [1], "levels": [3], "hidden": [4]}
    network = load_factory("tabular.py:TabularMLP", MODELS, args).build(0).eval()
    rows = torch.tensor([[0.5, 2.0], [0.5, 3.0], [0.5, -1.0], [0.5, 99.0]])
    seen, *unseen = network(rows)
    assert not torch.equal(seen, unseen[0])
    assert all(torch.equal(unseen[0], each) for each in unseen)
