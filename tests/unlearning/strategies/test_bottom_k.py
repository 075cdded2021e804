import torch
from torch.nn.functional import cross_entropy

from expunge.unlearning import BottomK, TopK, saliency, unlearn
from tests.unlearning.conftest import Case
from tests.unlearning.states import state


def test_what_bottom_k_masks_is_what_top_k_leaves_out(case: Case) -> None:
    """At fractions that add up to 1, where no saliencies are tied at the cut."""
    bottom, top = (
        unlearn(case.champion, case.forget, case.retain, strategy)
        for strategy in (BottomK(0.4, "additive"), TopK(0.6, "additive"))
    )
    assert bottom.edit.ties == top.edit.ties == 0
    before, low, high = state(case.champion), state(bottom.model), state(top.model)
    for name in before:
        if name != "frozen":
            moved = low[name] != before[name]
            assert torch.equal(moved, high[name] == before[name])
    assert bottom.edit.masked + top.edit.masked == bottom.edit.parameters


def test_the_masked_are_the_least_salient(case: Case) -> None:
    found = saliency(case.champion, case.forget, cross_entropy)
    outcome = unlearn(case.champion, case.forget, case.retain, BottomK(0.3, "additive"))
    before, after = state(case.champion), state(outcome.model)
    moved = torch.cat([(after[name] != before[name]).flatten() for name in found])
    ranked = torch.cat([values.flatten() for values in found.values()])
    assert ranked[moved].max() <= ranked[~moved].min()


def test_per_layer_masks_the_share_of_every_tensor(case: Case) -> None:
    strategy = BottomK(0.5, "additive", per_layer=True)
    edit = unlearn(case.champion, case.forget, case.retain, strategy).edit
    assert {t.name: t.masked for t in edit.per_tensor} == {
        "first.weight": 60, "first.bias": 10, "second.weight": 30, "second.bias": 2,
    }  # fmt: skip


def test_one_law_at_one_key_gives_a_weight_the_same_noise_whoever_masks_it(case: Case) -> None:
    """So that Bottom-K and Top-K differ in the mask alone."""
    whole, part = (
        state(unlearn(case.champion, case.forget, case.retain, BottomK(share, "additive")).model)
        for share in (1.0, 0.2)
    )
    before = state(case.champion)
    for name, value in part.items():
        moved = value != before[name]
        assert torch.equal(value[moved], whole[name][moved])
