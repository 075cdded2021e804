"""Our AdamW is PyTorch's, bit for bit, and spares the import of its compiler."""

from __future__ import annotations

import subprocess
import sys

import torch

from expunge.training.adamw import AdamW


def _network() -> torch.nn.Module:
    torch.manual_seed(7)
    return torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.ReLU(), torch.nn.Linear(5, 3))


def test_the_weights_are_those_of_torchs_optimiser_after_every_step() -> None:
    ours, theirs = _network(), _network()
    mine = AdamW(list(ours.parameters()), 1e-2, (0.9, 0.98), 0.05)
    optimiser = torch.optim.AdamW(
        theirs.parameters(), lr=1e-2, betas=(0.9, 0.98), weight_decay=0.05, fused=True
    )
    for step in range(20):
        x = torch.randn(8, 6, generator=torch.Generator().manual_seed(step))
        mine.lr = optimiser.param_groups[0]["lr"] = 1e-2 / (step + 1)
        for network, each in ((ours, mine), (theirs, optimiser)):
            each.zero_grad()
            network(x).square().mean().backward()
            each.step()
        for left, right in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert torch.equal(left, right)


def test_a_weight_without_a_gradient_stays() -> None:
    network = _network()
    before = [weight.detach().clone() for weight in network.parameters()]
    mine = AdamW(list(network.parameters()), 1e-2, (0.9, 0.98), 0.5)
    network[0](torch.ones(2, 6)).sum().backward()
    mine.step()
    changed = [not torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True)]
    assert changed == [True, True, False, False]


def test_training_imports_no_compiler() -> None:
    program = (
        "import sys, torch\n"
        "from expunge.specs import Recipe\n"
        "from expunge.training import fit\n"
        "rows = torch.utils.data.TensorDataset(torch.randn(16, 4), torch.arange(16) % 2)\n"
        "fit(torch.nn.Linear(4, 2), rows, Recipe(epochs=1), torch.nn.functional.cross_entropy,\n"
        "    seed=0, device='cpu')\n"
        "sys.exit('torch._dynamo' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
