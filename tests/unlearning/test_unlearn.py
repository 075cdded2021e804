import copy
import json
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import Subset, TensorDataset

from expunge.errors import TerminalError
from expunge.specs import Recipe
from expunge.training import DivergedError, save_weights
from expunge.unlearning import (
    SSD,
    STRATEGIES,
    BottomK,
    Edit,
    EmptySplitError,
    ExactRetrain,
    FastRetrain,
    FineTune,
    FreshError,
    GlobalPerturbation,
    GradientAscent,
    NegGradPlus,
    RandomK,
    Repair,
    SalUn,
    Strategy,
    TopK,
    unlearn,
)
from expunge.unlearning.laws import NOISES, Noise
from tests.unlearning.conftest import Case, Net

EVERY: list[tuple[Strategy, Repair | None]] = [
    (TopK(0.1, "additive"), Repair(1)),
    (TopK(0.2, per_layer=True, saliency="gradient"), None),
    (RandomK(0.8), Repair(0.5)),
    (FineTune(), Repair(1)),
    (ExactRetrain(Recipe(epochs=2)), None),
    (FastRetrain(Repair(2, batch_size=32)), None),
    (BottomK(0.3), Repair(1)),
    (GlobalPerturbation("shrink"), Repair(1)),
    (GradientAscent(Repair(1)), None),
    (NegGradPlus(Repair(1)), None),
    (SSD(alpha=1.2), None),
    (SalUn(Repair(1)), None),
]
SETTLED = [
    (strategy, repair)
    for strategy, repair in EVERY
    if not strategy.exact
    and (repair or strategy.name in ("gradient_ascent", "neggrad_plus", "ssd", "salun"))
]
TAKES_NO_REPAIR = [strategy for strategy, repair in EVERY[4:] if repair is None]
named = pytest.mark.parametrize(("strategy", "repair"), EVERY, ids=lambda v: getattr(v, "name", ""))
PARAMETERS = 6 * 20 + 20 + 20 * 3 + 3


def state(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())


def test_every_strategy_is_registered_by_its_name() -> None:
    assert set(STRATEGIES) == {
        "top_k", "bottom_k", "random_k", "global_perturbation", "fine_tune", "gradient_ascent",
        "neggrad_plus", "ssd", "salun", "fast_retrain", "exact_retrain",
    }  # fmt: skip
    assert {type(strategy) for strategy, _ in EVERY} == set(STRATEGIES.values())


@named
def test_the_champion_is_untouched(case: Case, strategy: Strategy, repair: Repair | None) -> None:
    before, modes = state(case.champion), [m.training for m in case.champion.modules()]
    outcome = unlearn(
        case.champion, case.forget, case.retain, strategy, repair, factory=case.factory
    )
    assert same(before, state(case.champion))
    assert outcome.model is not case.champion
    assert [m.training for m in outcome.model.modules()] == modes
    assert not same(before, state(outcome.model))


@named
def test_the_same_seed_gives_the_same_bytes(
    case: Case, strategy: Strategy, repair: Repair | None, tmp_path: Path
) -> None:
    edits = []
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        torch.manual_seed(len(edits))
        outcome = unlearn(
            case.champion,
            case.forget,
            case.retain,
            strategy,
            repair,
            seed=seed,
            factory=case.factory,
        )
        save_weights(outcome.model, tmp_path / name)
        edits.append(outcome.edit)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes() != (tmp_path / "c").read_bytes()
    assert edits[0].mask_digest == edits[1].mask_digest


@named
def test_the_record_adds_up(case: Case, strategy: Strategy, repair: Repair | None) -> None:
    edit = unlearn(
        case.champion, case.forget, case.retain, strategy, repair, factory=case.factory
    ).edit
    assert edit.parameters == PARAMETERS == sum(t.parameters for t in edit.per_tensor)
    assert edit.masked == sum(t.masked for t in edit.per_tensor)
    assert edit.changed == sum(t.changed for t in edit.per_tensor) <= edit.masked
    assert [(gone.name, gone.why) for gone in edit.excluded] == [("frozen", "frozen")]
    forget, retain = len(case.forget), len(case.retain)
    read = {TopK: forget, BottomK: forget, SalUn: forget, SSD: forget + retain}
    saliency_rows = read.get(type(strategy), 0)
    assert edit.cost == saliency_rows + (edit.history.samples if edit.history else 0)
    stages = sum(seconds for stage, seconds in edit.seconds.items() if stage != "total")
    assert 0 < stages <= edit.seconds["total"] or isinstance(strategy, FineTune)
    assert Edit.from_json(json.loads(json.dumps(edit.to_json()))) == edit


@pytest.mark.parametrize("noise", NOISES)
def test_only_masked_parameters_change_without_a_repair(case: Case, noise: Noise) -> None:
    strategy = RandomK(0.3, noise)
    outcome = unlearn(case.champion, case.forget, case.retain, strategy, factory=case.factory)
    before, after = state(case.champion), state(outcome.model)
    differing = {name: int((after[name] != before[name]).sum()) for name in before}
    assert outcome.edit.masked == round(0.3 * PARAMETERS)
    assert {t.name: t.changed for t in outcome.edit.per_tensor} == {
        name: count for name, count in differing.items() if name != "frozen"
    }
    assert outcome.edit.history is None


def test_top_k_masks_what_the_forgotten_rows_are_most_salient_for(case: Case) -> None:
    from expunge.unlearning import saliency

    found = saliency(case.champion, case.forget, cross_entropy)
    outcome = unlearn(case.champion, case.forget, case.retain, TopK(0.1, "additive"))
    before, after = state(case.champion), state(outcome.model)
    moved = torch.cat([(after[n] != before[n]).flatten() for n in found])
    ranked = torch.cat([values.flatten() for values in found.values()])
    assert ranked[moved].min() >= ranked[~moved].max()


def test_a_fraction_below_one_parameter_masks_one(case: Case) -> None:
    for strategy in (TopK(1e-9, "additive"), RandomK(1e-9, "additive")):
        edit = unlearn(case.champion, case.forget, case.retain, strategy).edit
        assert (edit.masked, edit.changed) == (1, 1)


def test_an_exact_retrain_holds_nothing_of_the_champion(case: Case) -> None:
    other = copy.deepcopy(case.champion)
    with torch.no_grad():
        for parameter in other.parameters():
            if parameter.requires_grad:
                parameter.mul_(-3)
    strategy = ExactRetrain(Recipe(epochs=1))
    outcomes = [
        unlearn(m, case.forget, case.retain, strategy, factory=case.factory)
        for m in (case.champion, other)
    ]
    assert same(state(outcomes[0].model), state(outcomes[1].model))
    assert outcomes[0].edit.masked == PARAMETERS


def test_no_forgotten_row_is_read_by_the_repair(case: Case) -> None:
    noise = TensorDataset(torch.randn(30, 6), case.forget.tensors[1])
    outcomes = [
        unlearn(case.champion, rows, case.retain, RandomK(0.5), Repair(1), factory=case.factory)
        for rows in (case.forget, noise)
    ]
    assert same(state(outcomes[0].model), state(outcomes[1].model))


def test_running_statistics_are_those_of_the_retain_split_after_a_repair(
    normalised_case: Case,
) -> None:
    champion = copy.deepcopy(normalised_case.champion)
    champion.get_buffer("norm.running_mean").fill_(1e6)
    retain = normalised_case.retain
    repaired = unlearn(
        champion, normalised_case.forget, retain, RandomK(0.1), Repair(1, batch_size=120)
    )
    hidden = repaired.model.get_submodule("first")(retain.tensors[0])
    mean = repaired.model.get_buffer("norm.running_mean")
    torch.testing.assert_close(mean, hidden.mean(0).detach(), rtol=1e-4, atol=1e-4)
    assert repaired.model.get_submodule("norm").momentum == 0.1
    assert repaired.edit.cost == repaired.edit.history.samples + 120 / 3
    stopped = unlearn(champion, normalised_case.forget, retain, RandomK(0.1))
    assert stopped.model.get_buffer("norm.running_mean")[0] == 1e6


def test_sixteen_bit_networks_keep_their_type_and_count_what_really_changed(case: Case) -> None:
    half = copy.deepcopy(case.champion).bfloat16()
    strategy = RandomK(1.0, "variance_preserving", scale=1e-7)
    outcome = unlearn(half, case.forget, case.retain, strategy, factory=case.factory)
    before, after = state(half), state(outcome.model)
    assert {value.dtype for value in after.values()} == {torch.bfloat16}
    assert outcome.edit.masked == PARAMETERS
    assert outcome.edit.changed == sum(int((after[n] != before[n]).sum()) for n in before)
    assert outcome.edit.changed < PARAMETERS


def test_tied_parameters_count_once_and_stay_tied() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.outer = nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False)
            self.outer.weight = self.inner.weight

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.outer(self.inner(x))
            return out

    rows = TensorDataset(torch.randn(8, 3), torch.zeros(8, dtype=torch.int64))
    outcome = unlearn(Tied(), rows, rows, TopK(0.5), Repair(1))
    assert [t.name for t in outcome.edit.per_tensor] == ["inner.weight"]
    assert outcome.edit.masked == 5
    assert outcome.model.get_parameter("outer.weight") is outcome.model.get_parameter(
        "inner.weight"
    )


def test_a_wrapped_network_has_the_same_mask(case: Case) -> None:
    plain, wrapped = (
        unlearn(model, case.forget, case.retain, RandomK(0.4)).edit
        for model in (case.champion, nn.DataParallel(case.champion))
    )
    assert plain.mask_digest == wrapped.mask_digest
    assert plain.per_tensor == wrapped.per_tensor


def test_parameters_in_another_memory_order_are_perturbed_alike() -> None:
    rows = TensorDataset(torch.randn(8, 3, 4, 4), torch.zeros(8, dtype=torch.int64))
    plain = nn.Sequential(nn.Conv2d(3, 5, 3), nn.Flatten(), nn.Linear(20, 2))
    last = copy.deepcopy(plain).to(memory_format=torch.channels_last)
    found = [unlearn(m, rows, rows, RandomK(0.5)).model for m in (plain, last)]
    assert same(state(found[0]), state(found[1]))


def test_empty_splits_are_refused(case: Case) -> None:
    empty = Subset(case.retain, [])
    with pytest.raises(EmptySplitError, match="forget split is empty"):
        unlearn(case.champion, empty, case.retain, RandomK(0.5))
    with pytest.raises(EmptySplitError, match="retain split is empty"):
        unlearn(case.champion, case.forget, empty, RandomK(0.5))


def test_a_repair_that_diverges_is_an_error_and_leaves_the_champion(case: Case) -> None:
    before = state(case.champion)
    with pytest.raises(DivergedError):
        unlearn(
            case.champion,
            case.forget,
            case.retain,
            RandomK(0.5),
            Repair(1),
            loss=lambda z, y: cross_entropy(z, y) * torch.nan,
            factory=case.factory,
        )
    assert same(before, state(case.champion))


def test_a_parameter_without_an_initialisation_is_an_error_for_laws_that_need_one(
    case: Case,
) -> None:
    class Bare(Net):
        def __init__(self) -> None:
            super().__init__()
            self.extra = nn.Parameter(torch.randn(4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = super().forward(x) * self.extra.sum()
            return out

    model = Bare()
    unlearn(model, case.forget, case.retain, RandomK(1.0, "additive"))
    with pytest.raises(FreshError, match="'extra'"):
        unlearn(model, case.forget, case.retain, RandomK(1.0, "shrink"))
    with pytest.raises(FreshError, match="'extra'"):
        unlearn(model, case.forget, case.retain, ExactRetrain(Recipe(epochs=1)))


@pytest.mark.parametrize("strategy", TAKES_NO_REPAIR, ids=lambda v: v.name)
def test_a_strategy_with_its_own_training_refuses_a_repair(case: Case, strategy: Strategy) -> None:
    with pytest.raises(TerminalError, match="no repair"):
        unlearn(case.champion, case.forget, case.retain, strategy, Repair(1), factory=case.factory)


@pytest.mark.parametrize(("strategy", "repair"), SETTLED, ids=lambda v: getattr(v, "name", ""))
def test_forgotten_rows_leave_nothing_in_running_statistics(
    normalised_case: Case, strategy: Strategy, repair: Repair | None
) -> None:
    """Where something is trained or dampened, statistics are the retain split's at the end."""
    champion, retain = copy.deepcopy(normalised_case.champion), normalised_case.retain
    champion.get_buffer("norm.running_mean").add_(1.0)
    outcome = unlearn(
        champion, normalised_case.forget, retain, strategy, repair, factory=normalised_case.factory
    )
    hidden = outcome.model.get_submodule("first")(retain.tensors[0]).detach()
    mean = outcome.model.get_buffer("norm.running_mean")
    torch.testing.assert_close(mean, hidden.mean(0), rtol=1e-4, atol=1e-4)
    assert outcome.edit.cost % 1 == pytest.approx((len(retain) / 3) % 1)


@named
def test_sixteen_bit_networks_come_back_as_such(
    case: Case, strategy: Strategy, repair: Repair | None
) -> None:
    half = copy.deepcopy(case.champion).bfloat16()
    outcome = unlearn(half, case.forget, case.retain, strategy, repair, factory=case.factory)
    assert {value.dtype for value in state(outcome.model).values()} == {torch.bfloat16}


@named
def test_the_settings_are_in_the_record(
    case: Case, strategy: Strategy, repair: Repair | None
) -> None:
    edit = unlearn(
        case.champion, case.forget, case.retain, strategy, repair, factory=case.factory
    ).edit
    assert edit.strategy == strategy.name
    assert {**strategy.settings(), **edit.settings} == edit.settings
    trained = edit.settings["training"]
    assert (trained is None) == (edit.history is None)
    assert trained is None or trained["epochs"] > 0


def test_settings_that_make_no_sense_are_refused(case: Case) -> None:
    for fraction in (0.0, 1.5, -1.0, float("nan")):
        with pytest.raises(TerminalError, match="fraction"):
            TopK(fraction)
        with pytest.raises(TerminalError, match="fraction"):
            RandomK(fraction)
    with pytest.raises(TerminalError, match="noise, scale"):
        RandomK(0.5, "loud", -1.0)  # type: ignore[arg-type]
    with pytest.raises(TerminalError, match="epochs"):
        Repair(0)
    with pytest.raises(TerminalError, match="Fine-tuning without a repair"):
        unlearn(case.champion, case.forget, case.retain, FineTune())
    with pytest.raises(TerminalError, match="no repair"):
        unlearn(case.champion, case.forget, case.retain, ExactRetrain(Recipe(epochs=1)), Repair(1))


def test_a_network_with_nothing_in_play_is_refused(case: Case) -> None:
    frozen = copy.deepcopy(case.champion).requires_grad_(False)
    with pytest.raises(TerminalError, match="no trainable floating-point parameter"):
        unlearn(frozen, case.forget, case.retain, RandomK(0.5))
