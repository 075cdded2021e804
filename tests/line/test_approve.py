"""Approval: a candidate that passed the gate waits for a person's yes, and for nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from expunge.line import Line, Stations, train
from expunge.line.account import account
from expunge.line.approve import approve
from expunge.line.schedule import drain
from expunge.lineage import trace_request
from expunge.report import decisions, page
from expunge.requests import Approval, TransitionError, UnknownRecordError
from tests.line.small import end_approvals, file, people_in, respec, run, settled, states

pytestmark = pytest.mark.usefixtures("quick")
MODEL = "small-mlp"


@pytest.fixture
def asked(line: Line) -> Approval:
    """A batch of one person whose candidate passed the gate and waits."""
    respec(line, gate={"held_out": 0.5, "approval": "required"})
    file(line, *people_in(line, "T", 1), received=datetime.now(UTC))
    (found,) = run(line).approvals
    return found


def _yes(line: Line, asked: Approval) -> Approval:
    return line.ledger.decide_approval(asked.batch_id, None, "approved", by="ada", reason="fine")


def _kinds(line: Line) -> list[str]:
    return [e.kind for e in line.ledger.events(model=MODEL) if "approv" in e.kind]


def test_a_candidate_waits_while_the_champion_serves_and_is_promoted_after_a_yes(
    line: Line, asked: Approval
) -> None:
    assert (asked.state, asked.version, asked.base) == ("waiting", "2", "1")
    assert asked.digest == line.registry.digest(MODEL, "2")
    again = run(line)
    assert (again.state, again.models, again.approvals) == ("published", (), (asked,))
    assert line.registry.champion(MODEL) == "1"
    answered = _yes(line, asked)
    assert (answered.decided_by, answered.reason) == ("ada", "fine")
    assert _yes(line, asked) == answered
    report = run(line)
    assert report.batch_id == asked.batch_id
    assert (report.state, report.models[0].version_after) == ("finished", "2")
    assert line.registry.champion(MODEL) == "2"
    assert _kinds(line) == ["approval_asked", "approved"]


def test_a_no_holds_the_model_in_debt_and_every_account_says_who_and_why(
    line: Line, asked: Approval
) -> None:
    waits = decisions(account(line, asked.batch_id))[-1]
    assert "version 2 passed the gate and waits for approval until" in waits
    line.ledger.decide_approval(asked.batch_id, MODEL, "rejected", by="ada", reason="not now")
    (model,) = run(line).models
    assert (model.decision, model.why) == ("held", "ada rejected version 2: not now")
    assert line.registry.champion(MODEL) == "1"
    assert line.ledger.debts(MODEL) == (asked.batch_id,)
    with pytest.raises(TransitionError, match="is rejected"):
        _yes(line, asked)
    told = account(line, asked.batch_id)
    assert decisions(told)[0].startswith("small-mlp is held: ada rejected version 2: not now, so")
    assert "was rejected by ada on" in page(told, {})
    (request,) = line.ledger.requests()
    traced = str(trace_request(line.ledger, request.id))
    assert "'rejected'" in traced
    assert "not now" in traced
    with pytest.raises(TransitionError, match="is rejected"):
        _yes(line, asked)


def test_silence_ends_in_a_held_model_and_a_late_yes_is_refused(
    line: Line, asked: Approval
) -> None:
    end_approvals(line)
    with pytest.raises(TransitionError, match="is expired"):
        _yes(line, asked)
    (model,) = run(line).models
    assert model.decision == "held"
    assert "version 2 was not approved: nobody answered until" in model.why
    assert line.registry.champion(MODEL) == "1"
    assert _kinds(line) == ["approval_asked", "approval_expired"]


def test_a_champion_that_moved_voids_the_yes_and_the_new_candidate_is_asked_about(
    line: Line, asked: Approval
) -> None:
    _yes(line, asked)
    known = line.registry.client.get_model_version(MODEL, "1")
    other = line.registry.client.create_model_version(MODEL, known.source, run_id=known.run_id)
    with line.lock("small") as fence:
        first = line.ledger.model_versions(MODEL)[0]
        line.ledger.record_model(
            fence, replace(first, version=str(other.version), promoted_at=None)
        )
    line.registry.set_alias(MODEL, "champion", str(other.version))
    report = run(line)
    assert [each.state for each in report.approvals] == ["void", "waiting"]
    assert "became champion meanwhile" in str(report.approvals[0].reason)
    assert report.approvals[1].base == str(other.version)
    assert line.registry.champion(MODEL) == str(other.version)


def test_a_candidate_whose_files_are_not_those_approved_is_not_promoted(
    line: Line, asked: Approval
) -> None:
    _yes(line, asked)
    run_id = line.registry.client.get_model_version(MODEL, "2").run_id
    (weights,) = (
        path
        for path in (line.workspace.root / ".expunge/mlartifacts").rglob("model.json")
        if run_id in str(path) or run_id in (path.parents[1] / "MLmodel").read_text()
    )
    weights.write_text(weights.read_text() + " ")
    (model,) = run(line).models
    assert model.decision == "held"
    assert "are not those that were approved" in model.why
    assert line.registry.champion(MODEL) == "1"


def test_other_peoples_deadline_ends_the_wait_and_their_batch_takes_the_debt_along(
    line: Line, asked: Approval
) -> None:
    assert drain(line, ["small"], pytest.fail, only_pressing=True).batches == {}
    month_ago = datetime.now(UTC) - timedelta(days=29)
    (late,) = file(line, *people_in(line, "T", 2)[1:], first=9, received=month_ago)
    first = run(line)
    assert "deadlines are near" in first.models[0].why
    second = run(line)
    _yes(line, second.approvals[0])
    assert run(line).models[0].decision == "retrained"
    assert settled(line, late) == {MODEL: "settled"}
    assert states(line, [each.id for each in line.ledger.requests()]) == ["completed"] * 2


def test_an_answer_makes_a_waiting_batch_pressing_again(line: Line, asked: Approval) -> None:
    _yes(line, asked)
    seen: list[str] = []
    drain(line, ["small"], seen.append, only_pressing=True)
    assert seen == ["small"]


def test_training_a_clean_champion_ends_the_question(line: Line, asked: Approval) -> None:
    assert len(line.ledger.status().approvals) == 1
    train(line, MODEL)
    assert line.ledger.status().approvals == ()
    assert [each.state for each in line.ledger.approvals(asked.batch_id)] == ["void"]
    assert line.ledger.batch(asked.batch_id).state == "finished"


def test_the_question_is_told_before_it_is_written_down_and_only_once(line: Line) -> None:
    respec(line, gate={"held_out": 0.5, "approval": "required"})
    file(line, *people_in(line, "T", 1), received=datetime.now(UTC))
    told: list[str] = []

    def ask(*given: object) -> object:
        return approve(*given, tell=lambda asked: told.append(asked.approval.version))  # type: ignore[arg-type]

    run(line, Stations(approve=ask))  # type: ignore[arg-type]
    run(line, Stations(approve=ask))  # type: ignore[arg-type]
    assert told == ["2"]


def test_nothing_is_asked_where_the_spec_says_nothing(line: Line) -> None:
    file(line, *people_in(line, "T", 1))
    report = run(line)
    assert (report.state, report.approvals) == ("finished", ())
    with pytest.raises(UnknownRecordError, match="put to anyone"):
        line.ledger.decide_approval(report.batch_id, None, "approved", by="ada", reason="fine")
