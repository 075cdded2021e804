"""The audit: a record for each strategy and kind of request, and nothing else is changed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from expunge.line import Line, audit
from expunge.line.bench import NoChampionError, OvertakenError
from expunge.line.mock import MockError
from expunge.line.qualification import settings_digest
from expunge.line.shadows import train_shadow, train_shadow_apart
from expunge.requests import Qualification
from tests.line.small import (
    FRAGILE,
    MANY,
    RETRAIN,
    WILD,
    file,
    people_in,
    person,
    respec,
    run,
    shards,
)

MEND = {"epochs": 2, "lr": 0.01, "batch_size": 64}
RUIN = {"strategy": "top_k", "fraction": 1.0, "noise": "additive", "scale": 100.0}
SHUFFLE = {"strategy": "random_k", "fraction": 0.5, "noise": "reinit", "repair": MEND}
GATE = {"held_out": 0.1}
NAMES = {"forgetting_rate_v", "auc", "hard_row_auc", "generalisation", "cost", "wall_seconds"}
OF_NETWORKS = {"ud", "ud_control", "ud_calibrated", "nud", "ud_sign_noise", "probe_hard_row_auc"}
OF_RETRAINS = {"js_gap", "js_floor", "relearn_ratio", "retain_only_return"}


def numbers(record: Qualification) -> dict[str, list[float | None]]:
    """The values of every metric but the time, by draw."""
    found = record.metrics["metrics"]
    return {name: found[name]["values"] for name in found if name != "wall_seconds"}


@pytest.mark.usefixtures("quick")
def test_each_strategy_gets_a_record_of_each_kind_and_the_rest_stays(crowd: Line) -> None:
    respec(crowd, ladder=[RUIN, SHUFFLE, RETRAIN], gate=GATE)
    before = shards(crowd)
    report = audit(crowd, "small-mlp", draws=2)
    assert [(each.strategy, each.request) for each in report.records] == [
        (strategy, kind)
        for kind in ("subjects", "rows", "class")
        for strategy in ("top_k", "random_k")
    ]
    assert report.records == crowd.ledger.qualifications("small-mlp")
    for record in report.records:
        assert (record.version, record.dataset_ordinal) == ("1", 1)
        assert set(record.metrics["metrics"]) >= NAMES | OF_NETWORKS
        assert not set(record.metrics["metrics"]) & OF_RETRAINS
        assert all(rows >= 300 for rows in record.metrics["rows"])
        auc = record.metrics["metrics"]["auc"]
        assert auc["sd"] is not None and len(auc["values"]) == 2
        wall = record.metrics["metrics"]["wall_seconds"]["values"]
        assert min(wall) > 0
    ruined = {each.request: each for each in report.records if each.strategy == "top_k"}
    assert {each.outcome for each in ruined.values()} == {"fail"}
    assert "damaged" in ruined["subjects"].metrics["verdicts"][0]["why"]
    assert shards(crowd) == before
    assert crowd.registry.champion("small-mlp") == "1"
    assert [each.version for each in crowd.ledger.model_versions("small-mlp")] == ["1"]
    assert len(crowd.registry.client.search_model_versions("name='small-mlp'")) == 1
    assert (crowd.ledger.batches(), list(crowd.ledger.requests())) == ((), [])
    assert not copies(crowd)
    told = json.dumps(report.to_json(), default=str)
    assert not [number for number in range(MANY) if person(number) in told]


def copies(line: Line) -> list[Path]:
    """What audits left among the scratch copies."""
    return list(line.workspace.state("scratch", "small").glob("audit-*"))


@pytest.mark.usefixtures("quick")
def test_the_same_audit_again_measures_the_same(crowd: Line) -> None:
    respec(crowd, ladder=[SHUFFLE, RETRAIN], gate=GATE)
    (first,) = audit(crowd, "small-mlp", requests=["subjects"], draws=1).records
    (second,) = audit(crowd, "small-mlp", requests=["subjects"], draws=1).records
    assert numbers(first) == numbers(second)
    assert (first.settings, first.outcome) == (second.settings, second.outcome)


def test_the_worker_process_unlearns_a_mock_request_as_this_process_does(
    crowd: Line, request: pytest.FixtureRequest
) -> None:
    respec(crowd, ladder=[SHUFFLE, RETRAIN], gate=GATE)
    (apart,) = audit(crowd, "small-mlp", requests=["rows"], draws=1).records
    request.getfixturevalue("quick")
    (here,) = audit(crowd, "small-mlp", requests=["rows"], draws=1).records
    assert numbers(apart)["forget_accuracy"] == numbers(here)["forget_accuracy"]


@pytest.mark.usefixtures("quick")
def test_a_class_that_is_forgotten_as_asked_is_no_damage(crowd: Line) -> None:
    respec(crowd, ladder=[RETRAIN], gate=GATE)
    (record,) = audit(crowd, "small-mlp", requests=["class"], draws=1, with_retrain=True).records
    found = record.metrics["metrics"]
    assert found["forget_accuracy"]["mean"] == 0
    assert found["forgetting_rate_v"]["mean"] == pytest.approx(1)
    assert found["generalisation"]["mean"] > -0.15
    assert "cannot name it" in found["probe_hard_row_auc"]["undefined"]


@pytest.mark.usefixtures("quick")
def test_retrains_add_the_true_rate_null_and_the_noise_floor(crowd: Line) -> None:
    respec(crowd, ladder=[SHUFFLE, RETRAIN], gate=GATE)
    report = audit(crowd, "small-mlp", requests=["subjects"], draws=1, with_retrain=True)
    shuffled, retrained = report.records
    assert {"forgetting_rate", "null_hard_row_auc", "leak_hard_row_auc"} <= set(numbers(shuffled))
    assert retrained.strategy == "exact_retrain"
    found = retrained.metrics["metrics"]
    assert {"floor_forgetting_rate", "floor_hard_row_auc"} | OF_NETWORKS | OF_RETRAINS <= set(found)
    assert found["js_gap"]["reference"] == pytest.approx(found["js_floor"]["mean"])
    assert found["probe_hard_row_auc"]["mean"] == pytest.approx(
        found["probe_hard_row_auc"]["reference"], abs=0.1
    )
    assert "SPD-GAN is not resolvable" in found["ud"]["undefined"]
    assert 0 < abs(found["floor_hard_row_auc"]["mean"]) < 0.1
    leak, null, own = (
        numbers(shuffled)[f"{name}hard_row_auc"][0] for name in ("leak_", "null_", "")
    )
    assert leak == pytest.approx((own or 0) - (null or 0))
    kept = [each for each in crowd.ledger.derived_of("small") if each.kind == "shadow"]
    assert [(each.roles, each.state) for each in kept] == [("TE", "valid")] * 4
    lira = found["lira_auc"]
    assert 0.3 < lira["mean"] < 0.7
    assert lira["reference"] is not None


def test_a_shadow_model_is_trained_once_alone_or_among_others_and_again_after_an_erasure(
    line: Line, root: Path
) -> None:
    def digests() -> dict[str, tuple[str, str]]:
        made = line.ledger.derived_of("small")
        return {each.key: (each.digest, each.state) for each in made if each.kind == "shadow"}

    train_shadow(line, "small-mlp", 1)
    (first,) = digests().items()
    train_shadow(line, "small-mlp", 1)
    assert digests() == dict([first])
    shutil.rmtree(line.workspace.state("derived"))
    train_shadow_apart(root, "small-mlp", 1)
    assert digests() == dict([first])
    file(line, *people_in(line, "T", 1))
    run(line)
    assert digests() == {first[0]: (first[1][0], "invalid")}
    train_shadow(line, "small-mlp", 1)
    assert len(digests()) == 2


@pytest.mark.usefixtures("quick")
def test_a_strategy_that_diverges_fails_and_says_so(crowd: Line) -> None:
    wild = {"strategy": "fine_tune", "repair": WILD}
    respec(crowd, ladder=[wild, RETRAIN], factory="fragile.py:Fragile")
    assert "Fragile" in FRAGILE
    (record,) = audit(crowd, "small-mlp", requests=["rows"], draws=1).records
    assert record.outcome == "fail"
    assert "diverged" in record.metrics["verdicts"][0]["why"]
    assert record.metrics["metrics"] == {}


@pytest.mark.usefixtures("quick")
def test_the_record_is_of_the_settings(crowd: Line) -> None:
    respec(crowd, ladder=[SHUFFLE, RETRAIN], gate=GATE)
    (record,) = audit(crowd, "small-mlp", requests=["rows"], draws=1).records
    assert record.settings == settings_digest(crowd.workspace.model("small-mlp").ladder[0])
    respec(crowd, ladder=[{**SHUFFLE, "fraction": 0.6}, RETRAIN])
    assert record.settings != settings_digest(crowd.workspace.model("small-mlp").ladder[0])


def test_without_a_champion_there_is_nothing_to_audit(crowd: Line) -> None:
    spec = crowd.workspace.root / "models/small-mlp.yaml"
    (spec.parent / "other.yaml").write_text(spec.read_text().replace("small-mlp", "other"))
    with pytest.raises(NoChampionError, match="no champion") as refused:
        audit(crowd, "other")
    assert refused.value.fix == "expunge train other"


def test_too_few_training_rows_are_an_error_and_too_few_asked_for_as_well(crowd: Line) -> None:
    with pytest.raises(MockError, match="a mock request of 900 needs 1800"):
        audit(crowd, "small-mlp", rows=900)
    with pytest.raises(MockError, match="299 rows"):
        audit(crowd, "small-mlp", rows=299)
    assert not copies(crowd)


@pytest.mark.usefixtures("quick")
def test_a_kind_that_cannot_be_drawn_is_skipped_while_another_can(crowd: Line) -> None:
    respec(crowd, ladder=[RUIN, RETRAIN])
    report = audit(crowd, "small-mlp", requests=["class", "rows"], rows=450, draws=1)
    assert [record.request for record in report.records] == ["rows"]
    (skipped,) = report.skipped
    assert skipped.request == "class" and "needs 450" in skipped.why
    with pytest.raises(MockError, match="largest class"):
        audit(crowd, "small-mlp", requests=["class"], rows=450)


@pytest.mark.usefixtures("quick")
def test_an_erasure_meanwhile_ends_the_audit_and_removes_its_copies(crowd: Line) -> None:
    respec(crowd, ladder=[RUIN, SHUFFLE, RETRAIN], gate={**GATE, "held_out": 1.0})
    entered: list[int] = []

    @contextmanager
    def slot() -> Iterator[None]:
        entered.append(1)
        if len(entered) == 3:  # laying the ground, the first strategy, and now
            file(crowd, *people_in(crowd, "T", 1))
            run(crowd)
            assert not copies(crowd)
        yield

    with pytest.raises(OvertakenError, match="erased"):
        audit(crowd, "small-mlp", requests=["rows"], draws=1, slot=slot)
    assert [record.strategy for record in crowd.ledger.qualifications("small-mlp")] == ["top_k"]
    assert not copies(crowd)


def killed_audit(line: Line) -> None:
    """The copies of an audit in a process that is no more."""
    program = (
        "import sys; from pathlib import Path; from expunge.lineage.passing import passing_folder; "
        "passing_folder(Path(sys.argv[1]), 'audit-small-mlp-')"
    )
    command = [sys.executable, "-c", program, str(line.workspace.state("scratch", "small"))]
    subprocess.run(command, check=True)
    assert copies(line)


@pytest.mark.usefixtures("quick")
def test_an_audit_that_is_stopped_leaves_no_half_record_and_no_copies(crowd: Line) -> None:
    respec(crowd, ladder=[RUIN, RETRAIN])
    killed_audit(crowd)
    entered: list[int] = []

    @contextmanager
    def slot() -> Iterator[None]:
        entered.append(1)
        if len(entered) == 4:  # two grounds, and the second draw's trial
            raise KeyboardInterrupt
        yield

    with pytest.raises(KeyboardInterrupt):
        audit(crowd, "small-mlp", requests=["rows"], draws=2, slot=slot)
    assert crowd.ledger.qualifications("small-mlp") == ()
    assert not copies(crowd)
