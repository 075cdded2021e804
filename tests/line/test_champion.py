"""The champion: compared at promotion, refused if unknown, rolled back as far as is allowed."""

from __future__ import annotations

import pytest
import yaml

from expunge.errors import TerminalError
from expunge.line import Line, Stations, rollback, run_batch, train
from expunge.line.attempt import Attempt
from expunge.line.gate import gate
from expunge.line.rollback import RollbackFloorError
from expunge.requests import Fence
from tests.line.small import MODEL, ROWS, file, forget_rows, people_in, run, settled, states

pytestmark = pytest.mark.usefixtures("quick")


def test_a_champion_promoted_by_someone_else_in_mid_run_is_unlearned_of_all_it_saw(
    line: Line,
) -> None:
    first, second = people_in(line, "T", 2)
    file(line, first)
    assert run(line).models[0].version_after == "2"
    requests = file(line, second, first=10)

    def gate_while_someone_promotes(
        line: Line, batch_id: str, fence: Fence, attempt: Attempt
    ) -> bool:
        if attempt.base == "2":
            line.registry.set_alias("small-mlp", "champion", "1")
        return gate(line, batch_id, fence, attempt)

    report = run(line, Stations(gate=gate_while_someone_promotes))
    assert forget_rows(line, report.batch_id) == {
        "small-mlp/2/0": ROWS,
        "small-mlp/1/0": 2 * ROWS,
    }
    (model,) = report.models
    made = line.ledger.champion("small-mlp")
    assert made is not None
    assert (made.version, made.parent) == (model.version_after, "1")
    assert model.decision == "retrained"
    assert line.registry.champion("small-mlp") == made.version
    assert line.ledger.may_serve("small-mlp", made.version)
    assert states(line, requests) == ["completed"]


def test_a_champion_that_expunge_does_not_know_keeps_its_debt_until_train_pays(line: Line) -> None:
    other = line.workspace.root / "models/z-mlp.yaml"
    other.write_text(yaml.safe_dump({**MODEL, "name": "z-mlp"}))
    train(line, "z-mlp")
    client = line.registry.client
    known = client.get_model_version("small-mlp", "1")
    foreign = client.create_model_version("small-mlp", known.source, run_id=known.run_id)
    line.registry.set_alias("small-mlp", "champion", str(foreign.version))

    (request,) = file(line, *people_in(line, "T", 1))
    with pytest.raises(TerminalError, match="not made by expunge") as caught:
        run_batch(line, "small")
    assert caught.value.fix == "expunge train small-mlp"
    assert settled(line, request) == {"small-mlp": "pending", "z-mlp": "settled"}
    assert states(line, [request]) == ["erased_model_pending"]
    assert line.registry.champion("small-mlp") == str(foreign.version)

    trained = train(line, "small-mlp")
    assert line.registry.champion("small-mlp") == trained.version
    assert states(line, [request]) == ["completed"]
    assert run_batch(line, "small") is None
    assert [batch.state for batch in line.ledger.batches()] == ["finished"]


def test_a_model_whose_champion_was_taken_away_in_mid_run_is_held(line: Line) -> None:
    def gate_while_someone_withdraws(
        line: Line, batch_id: str, fence: Fence, attempt: Attempt
    ) -> bool:
        line.registry.client.delete_registered_model_alias("small-mlp", "champion")
        return gate(line, batch_id, fence, attempt)

    requests = file(line, *people_in(line, "T", 1))
    report = run(line, Stations(gate=gate_while_someone_withdraws))
    assert [model.decision for model in report.models] == ["held"]
    assert line.registry.champion("small-mlp") is None
    assert states(line, requests) == ["erased_model_pending"]
    assert line.ledger.debts("small-mlp") == (report.batch_id,)


def test_rollback_moves_among_clean_versions_and_never_below_the_floor(line: Line) -> None:
    file(line, *people_in(line, "T", 1))
    run(line)
    train(line, "small-mlp")
    assert rollback(line, "small-mlp", "2") == "3"
    assert line.registry.champion("small-mlp") == "2"
    with pytest.raises(RollbackFloorError) as caught:
        rollback(line, "small-mlp", "1")
    assert "version 2 or later" in caught.value.fix
    assert line.registry.champion("small-mlp") == "2"
    champion = line.ledger.champion("small-mlp")
    assert champion is not None
    assert champion.version == line.ledger.floor("small-mlp") == "2"
