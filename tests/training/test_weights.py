from pathlib import Path

import pytest
import torch
from torch import nn

from expunge.training import WeightsError, load_weights, save_weights


class Tied(nn.Module):
    """Input and output embeddings share one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.decoder = nn.Linear(4, 9, bias=False)
        self.encoder = nn.Embedding(9, 4)
        self.encoder.weight = self.decoder.weight
        self.norm = nn.BatchNorm1d(4)


def network(seed: int) -> Tied:
    torch.manual_seed(seed)
    built = Tied()
    built.norm.running_mean = torch.rand(4)
    return built


def test_weights_come_back_bit_for_bit_and_tied_ones_stay_tied(tmp_path: Path) -> None:
    one, other = network(1), network(2)
    save_weights(one, tmp_path / "w.safetensors")
    load_weights(other, tmp_path / "w.safetensors")
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name])
    assert other.encoder.weight is other.decoder.weight


def test_tied_weights_are_stored_once(tmp_path: Path) -> None:
    save_weights(network(1), tmp_path / "tied.safetensors")
    untied = network(1)
    untied.encoder.weight = nn.Parameter(untied.decoder.weight.detach().clone())
    save_weights(untied, tmp_path / "untied.safetensors")
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("tied", "untied")]
    assert sizes[1] - sizes[0] > 9 * 4 * 4 - 1


def test_the_same_state_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_weights(network(3), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_wrapped_and_plain_networks_share_weights(tmp_path: Path) -> None:
    plain = nn.Sequential(nn.Linear(2, 3))
    save_weights(nn.DataParallel(plain), tmp_path / "w")
    other = nn.Sequential(nn.Linear(2, 3))
    load_weights(other, tmp_path / "w")
    assert torch.equal(other[0].weight, plain[0].weight)


def test_another_networks_weights_are_refused_and_nothing_is_loaded(tmp_path: Path) -> None:
    save_weights(nn.Linear(2, 3), tmp_path / "w")
    other = nn.Linear(2, 4)
    before = other.weight.detach().clone()
    with pytest.raises(WeightsError, match="of another shape"):
        load_weights(other, tmp_path / "w")
    with pytest.raises(WeightsError, match="missing"):
        load_weights(nn.Sequential(nn.Linear(2, 3)), tmp_path / "w")
    assert torch.equal(other.weight, before)


def test_a_truncated_or_absent_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "w"
    save_weights(nn.Linear(2, 3), path)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(WeightsError, match="not a sound safetensors file"):
        load_weights(nn.Linear(2, 3), path)
    with pytest.raises(WeightsError, match="no file of weights"):
        load_weights(nn.Linear(2, 3), tmp_path / "absent")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    class Stateful(nn.Linear):
        def get_extra_state(self) -> dict[str, int]:
            return {"not": 1}

        def set_extra_state(self, state: object) -> None:
            del state

    path = tmp_path / "w"
    save_weights(nn.Linear(2, 3), path)
    before = path.read_bytes()
    with pytest.raises(WeightsError, match="not a tensor"):
        save_weights(Stateful(2, 3), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
