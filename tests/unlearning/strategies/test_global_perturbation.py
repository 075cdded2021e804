import math

import pytest
import torch

from expunge.errors import TerminalError
from expunge.training import derived_seed
from expunge.unlearning import GlobalPerturbation, RandomK, unlearn
from expunge.unlearning.laws import NOISES, Noise
from tests.unlearning.conftest import Case
from tests.unlearning.states import same, state


@pytest.mark.parametrize("noise", NOISES)
def test_every_parameter_is_masked_under_every_law(case: Case, noise: Noise) -> None:
    strategy = GlobalPerturbation(noise)
    edit = unlearn(case.champion, case.forget, case.retain, strategy, factory=case.factory).edit
    assert edit.masked == edit.parameters == sum(t.parameters for t in edit.per_tensor)
    assert all(tensor.masked == tensor.parameters for tensor in edit.per_tensor)
    assert edit.changed == edit.masked
    assert edit.cost == 0


def test_it_is_random_k_of_everything(case: Case) -> None:
    one, other = (
        unlearn(case.champion, case.forget, case.retain, strategy, seed=4, factory=case.factory)
        for strategy in (GlobalPerturbation(scale=0.7), RandomK(1.0, scale=0.7))
    )
    assert same(one.model, other.model)
    assert one.edit.mask_digest == other.edit.mask_digest


def test_shrink_mixes_champion_and_fresh_network_in_the_laws_proportion(case: Case) -> None:
    strategy = GlobalPerturbation("shrink", scale=0.5)
    made = unlearn(case.champion, case.forget, case.retain, strategy, factory=case.factory).model
    fresh, before = state(case.factory.build(derived_seed(0, "fresh"))), state(case.champion)
    a = math.exp(-0.5)
    for name, after in state(made).items():
        if name != "frozen":
            mixed = a * before[name] + math.sqrt(1 - a * a) * fresh[name]
            torch.testing.assert_close(after, mixed)


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(TerminalError, match="noise, scale") as caught:
        GlobalPerturbation("loud", 0.0)  # type: ignore[arg-type]
    assert "scale above 0" in (caught.value.fix or "")
