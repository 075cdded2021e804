import hashlib
import sys
from pathlib import Path

import pytest
import torch

from expunge.training import FactoryError, load_factory, seeded

MODELS = Path(__file__).parents[2] / "models"


def write(folder: Path, text: str, name: str = "net.py") -> Path:
    (folder / name).write_text("import torch\nfrom torch import nn\n" + text)
    return folder


def test_a_file_factory_builds_the_same_weights_for_the_same_seed() -> None:
    factory = load_factory("small_cnn.py:SmallCNN", MODELS, {"channels": [4, 8], "hidden": 16})
    first, again, other = factory.build(3), factory.build(3), factory.build(4)
    state = first.state_dict()
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in state.items())
    assert any(not torch.equal(value, other.state_dict()[name]) for name, value in state.items())


def test_building_leaves_the_global_random_state_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    load_factory("mlp.py:MLP", MODELS, {"inputs": 4, "classes": 2}).build(0)
    assert torch.equal(torch.rand(3), expected)


def test_a_module_factory_is_digested_by_its_source() -> None:
    factory = load_factory("torch.nn.modules.linear:Linear", MODELS)
    source = Path(sys.modules["torch.nn.modules.linear"].__file__ or "").read_bytes()
    assert factory.source_digest == hashlib.sha256(source).hexdigest()
    assert factory.with_args({"in_features": 2, "out_features": 3}).build(0)(
        torch.zeros(1, 2)
    ).shape == (1, 3)


def test_two_files_of_one_name_do_not_collide(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    text = "def make():\n    return nn.Linear(1, {})\n"
    first = load_factory("net.py:make", write(one, text.format(2)))
    second = load_factory("net.py:make", write(two, text.format(5)))
    assert first.build(0)(torch.zeros(1, 1)).shape == (1, 2)
    assert second.build(0)(torch.zeros(1, 1)).shape == (1, 5)
    assert first.source_digest != second.source_digest
    assert "net" not in sys.modules


def test_an_edited_file_is_loaded_anew_and_no_bytecode_is_left(tmp_path: Path) -> None:
    text = "def make():\n    return nn.Linear(1, {})\n"
    load_factory("net.py:make", write(tmp_path, text.format(2)))
    edited = load_factory("net.py:make", write(tmp_path, text.format(3)))
    assert edited.build(0)(torch.zeros(1, 1)).shape == (1, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["net.py"]


def test_a_file_may_hold_dataclasses(tmp_path: Path) -> None:
    text = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "@dataclass\nclass C:\n    n: int = 2\ndef make():\n    return nn.Linear(1, C().n)\n"
    )
    (tmp_path / "net.py").write_text(
        text.replace("@dataclass", "import torch\nfrom torch import nn\n@dataclass", 1)
    )
    assert load_factory("net.py:make", tmp_path).build(0)(torch.zeros(1, 1)).shape == (1, 2)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("def make():\n    raise RuntimeError('no such size')\n", "raised RuntimeError: no such"),
        ("def make():\n    return 3\n", "returned int"),
        ("def make(width):\n    return nn.Linear(1, width)\n", "raised TypeError"),
    ],
)
def test_a_factory_that_builds_no_network_is_told(tmp_path: Path, text: str, told: str) -> None:
    factory = load_factory("net.py:make", write(tmp_path, text))
    with pytest.raises(FactoryError, match=told):
        factory.build(0)


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ("absent.py:make", "no file absent.py"),
        ("net.py:absent", "no callable 'absent'"),
        ("net.py:value", "no callable 'value'"),
        ("broken.py:make", "raised SyntaxError"),
        ("raising.py:make", "raised ZeroDivisionError"),
        ("no_such_package_here.net:make", "not installed"),
        ("../net.py:make", "does not name a factory"),
        ("net.py", "does not name a factory"),
        ("math:sqrt", "no Python source"),
    ],
)
def test_a_factory_that_cannot_be_loaded_is_told(tmp_path: Path, reference: str, told: str) -> None:
    write(tmp_path, "value = 3\ndef make():\n    return nn.Linear(1, 1)\n")
    write(tmp_path, "def make(:\n", "broken.py")
    write(tmp_path, "1 / 0\n", "raising.py")
    with pytest.raises(FactoryError, match=told):
        load_factory(reference, tmp_path)


def test_a_failed_import_leaves_no_module_behind(tmp_path: Path) -> None:
    before = set(sys.modules)
    with pytest.raises(FactoryError):
        load_factory("raising.py:make", write(tmp_path, "1 / 0\n", "raising.py"))
    assert not [n for n in set(sys.modules) - before if n.startswith("_expunge_network")]


def test_a_plain_callable_serves_as_a_factory() -> None:
    factory = seeded(lambda: torch.nn.Linear(2, 2))
    first, again = factory.build(1), factory.build(1)
    assert torch.equal(first.get_parameter("weight"), again.get_parameter("weight"))
