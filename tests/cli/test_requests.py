"""`expunge request`: filing, deciding, listing, without ever showing whom."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest

SUBJECT = "anna.persson@example.org"


def added(run: Any, *arguments: str, subject: str = SUBJECT) -> str:
    result = run("request", "add", "--subject-file", "-", *arguments, stdin=subject + "\n")
    assert result.exit_code == 0, result.output
    return result.stdout.split(":")[0].split()[0]


def test_add_files_the_request_of_the_subject_on_standard_input(expunge):
    request = added(expunge)
    with expunge.ledger() as ledger:
        found = ledger.request(request)
    (key,) = [k for k in _keys(expunge) if k.key_id == found.key_id]
    assert found.subject_ref == key.ref(SUBJECT)
    assert found.state == "pending"
    assert [target.dataset for target in found.targets] == ["people"]


def test_argument_file_and_standard_input_name_the_same_subject(expunge, subject_file):
    path = str(subject_file(SUBJECT + "\r\n"))
    by_argument = expunge.json("request", "add", SUBJECT, "--id", "7")
    by_file = expunge.json("request", "add", "--subject-file", path, "--id", "7")
    assert by_argument["outcome"] == "accepted"
    assert by_file == by_argument | {"outcome": "duplicate"}


def test_the_same_id_for_another_person_is_a_conflict_and_changes_nothing(expunge):
    first = added(expunge, "--id", "7")
    result = expunge("request", "add", "--id", "7", "--subject-file", "-", stdin="somebody else")
    assert result.exit_code == 1
    assert "filed before with another content" in result.stderr
    assert [request["id"] for request in expunge.json("request", "list")] == [first]


@pytest.mark.parametrize("text", ["", "\n", "one\ntwo\n", "x" * 5000])
def test_a_subject_file_without_exactly_one_id_is_a_usage_error(expunge, text):
    result = expunge("request", "add", "--subject-file", "-", stdin=text)
    assert result.exit_code == 2
    assert "one\n" not in result.output
    assert expunge.json("request", "list") == []


def test_a_subject_file_that_is_not_text_is_a_usage_error(expunge):
    result = expunge("request", "add", "--subject-file", "-", stdin=b"\xff\xfe\x00")
    assert result.exit_code == 2
    assert "UTF-8" in result.stderr


def test_id_as_argument_and_in_a_file_at_once_is_a_usage_error(expunge):
    assert expunge("request", "add", "one", "--subject-file", "-", stdin="two").exit_code == 2
    assert expunge("request", "add").exit_code == 2


def test_an_unknown_dataset_is_refused_before_anything_is_filed(expunge):
    result = expunge("request", "add", SUBJECT, "--dataset", "nowhere")
    assert result.exit_code == 1
    assert "data/nowhere.yaml" in result.stderr
    assert SUBJECT not in result.output
    assert expunge.json("request", "list") == []


def test_a_request_covers_every_dataset_unless_some_are_named(expunge, second_dataset):
    everywhere = expunge.json("request", "show", added(expunge))
    named = expunge.json("request", "show", added(expunge, "--dataset", "others"))
    assert [target["dataset"] for target in everywhere["targets"]] == ["others", "people"]
    assert [target["dataset"] for target in named["targets"]] == ["others"]


def test_deadlines_follow_regulation_and_day_of_receipt(expunge):
    gdpr = added(expunge, "--received", "2024-01-31")
    ccpa = added(expunge, "--received", "2024-01-31", "--regulation", "ccpa")
    due = {each["id"]: each["due_at"][:10] for each in expunge.json("request", "list")}
    assert due == {gdpr: "2024-02-29", ccpa: "2024-03-16"}


def test_receipt_in_the_future_is_a_usage_error(expunge):
    assert expunge("request", "add", SUBJECT, "--received", "2999-01-01").exit_code == 2


def test_hold_release_deny_move_the_request_and_keep_the_reason(expunge):
    request = added(expunge)
    assert expunge.json("request", "hold", request, "--reason", "who is it")["state"] == "on_hold"
    assert expunge.json("request", "release", request)["state"] == "pending"
    denied = expunge.json("request", "deny", request, "--reason", "legal claim")
    assert (denied["state"], denied["reason"]) == ("denied", "legal claim")
    events = expunge.json("request", "show", request)["events"]
    assert [event["kind"] for event in events] == ["received", "held_back", "released", "denied"]


def test_a_decision_that_the_state_forbids_names_state_and_next_step(expunge):
    request = added(expunge)
    expunge("request", "cancel", request, "--reason", "changed their mind")
    result = expunge("request", "hold", request, "--reason", "late")
    assert result.exit_code == 1
    assert "cancelled" in result.stderr
    assert "next:" in result.stderr


def test_confirm_is_for_blocked_requests_only(expunge):
    result = expunge("request", "confirm", added(expunge))
    assert result.exit_code == 1
    assert "blocked" in result.stderr


def test_extend_moves_the_deadline_once(expunge):
    request = added(expunge, "--received", "2026-01-15")
    extended = expunge.json("request", "extend", request, "--reason", "many systems")
    assert extended["due_at"].startswith("2026-04-15")
    assert expunge("request", "extend", request, "--reason", "again").exit_code == 1


def test_list_filters_by_state_and_dataset_and_stops_at_the_limit(expunge, second_dataset):
    held = added(expunge, "--dataset", "people")
    added(expunge, "--dataset", "others")
    expunge("request", "hold", held, "--reason", "identity")
    assert [r["id"] for r in expunge.json("request", "list", "--state", "on_hold")] == [held]
    assert [r["id"] for r in expunge.json("request", "list", "--dataset", "people")] == [held]
    assert len(expunge.json("request", "list", "--limit", "1")) == 1
    assert "and more" in expunge("request", "list", "--limit", "1").stdout
    assert expunge("request", "list", "--state", "lost").exit_code == 2


def test_list_fits_80_columns_and_shows_ids_whole(expunge):
    request = added(expunge, "--source", "a long name of a ticket system that goes on and on")
    lines = expunge("request", "list").stdout.splitlines()
    assert any(line.startswith(request) for line in lines)
    assert max(map(len, lines)) <= 80


def test_what_a_source_sends_cannot_steer_the_terminal(expunge):
    request = added(expunge, "--source", "\x1b[2Jred", "--id", "[bold]:x:")
    shown = expunge("request", "show", request).stdout
    assert "\x1b" not in shown
    assert "[bold]:x:" in shown


def test_no_output_and_no_plain_file_holds_the_subject(expunge):
    request = added(expunge)
    for arguments in (
        ("list",),
        ("show", request),
        ("list", "--json"),
        ("show", request, "--json"),
    ):
        assert SUBJECT not in expunge("request", *arguments).output
    ledger = sqlite3.connect(expunge.root / ".expunge" / "ledger.db")
    dump = "\n".join(ledger.iterdump())
    assert request in dump
    assert SUBJECT not in dump


def test_an_unknown_request_is_a_clear_error(expunge):
    result = expunge("request", "show", "r-0000000000000000")
    assert result.exit_code == 1
    assert "r-0000000000000000" in result.stderr


def _keys(run: Any) -> Any:
    from expunge.workspace import Workspace

    return Workspace.open(run.root).keys.references()
