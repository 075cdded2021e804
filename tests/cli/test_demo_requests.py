"""The demo's pile of requests, read back by the intake and filed in a real ledger."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from expunge.cli.demo.requests import (
    HELD_OUT,
    TRAINED,
    UNKNOWN,
    Arrival,
    TooFewWritersError,
    choose,
    write_pile,
)
from expunge.cli.imports import Imported, file_all
from expunge.keys import KeyRing
from expunge.requests import Filing, Ledger
from expunge.requests.intake import Rejected, read_requests

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ROLES = {f"subject-{number:03}": "TTTRVTEF"[number % 8] for number in range(200)}


def filings(file: Arrival) -> list[Filing | Rejected]:
    return list(
        read_requests(
            file.path, source=file.source, regulation=file.regulation, datasets=("digits",)
        )
    )


def test_people_are_chosen_by_role_and_bystanders_are_not_among_them() -> None:
    people = choose(ROLES)
    assert [ROLES[subject] for subject in people.trained] == ["T"] * TRAINED
    assert [ROLES[subject] for subject in people.held_out] == ["E"] * HELD_OUT
    assert not set(people.bystanders) & set(people.erased)
    assert len(set(people.erased) | set(people.bystanders)) == TRAINED + HELD_OUT + 2


def test_too_few_writers_are_an_error_that_says_what_to_do() -> None:
    with pytest.raises(TooFewWritersError, match=r"data/digits\.yaml"):
        choose({"only-one": "T"})


def test_the_pile_asks_for_everyone_once_and_for_one_whom_nobody_knows(tmp_path: Path) -> None:
    people = choose(ROLES)
    pile = write_pile(tmp_path, people, NOW)
    accepted: dict[tuple[str, str], Filing] = {}
    for file in pile.files:
        for filing in filings(file):
            if isinstance(filing, Filing):
                accepted.setdefault((filing.source, filing.external_id), filing)
    subjects = Counter(filing.subject_id for filing in accepted.values()) + Counter([pile.by_hand])
    assert subjects == Counter([*people.erased, UNKNOWN])
    assert {filing.regulation for filing in accepted.values()} == {"gdpr", "ccpa"}
    assert all(filing.received_at and filing.received_at < NOW for filing in accepted.values())


def test_each_line_becomes_what_the_pile_says(tmp_path: Path) -> None:
    pile = write_pile(tmp_path, choose(ROLES), NOW)
    keys = KeyRing(tmp_path / "keys")
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", keys) as ledger:
        for file in pile.files:
            done = file_all(ledger, filings(file), {"digits"}, lambda lines: None)
            assert counts(done) == (
                file.accepted,
                file.duplicates,
                file.conflicts,
                file.rejected,
            )
        assert ledger.status().requests == {"pending": sum(pile.states.values()) - 1}


def counts(done: Imported) -> tuple[int, int, int, int]:
    return done.accepted, done.duplicates, len(done.conflicts), len(done.rejected)


def test_faults_name_bystanders_who_are_never_shown(tmp_path: Path) -> None:
    people = choose(ROLES)
    portal, support = write_pile(tmp_path, people, NOW).files
    text = support.path.read_text()
    assert all(bystander in text for bystander in people.bystanders)
    rejected = [line for line in filings(support) if isinstance(line, Rejected)]
    assert len(rejected) == 1
    assert not any(subject in repr(rejected) for subject in ROLES)
    with pytest.raises(json.JSONDecodeError):
        json.loads(text.splitlines()[rejected[0].line - 1])
    assert portal.path.suffix == ".csv"


def test_nobody_is_shown_by_repr(tmp_path: Path) -> None:
    people = choose(ROLES)
    shown = repr(people) + repr(write_pile(tmp_path, people, NOW))
    assert "subject-" not in shown
