"""`expunge request import-table`: new rows of the team's own table, and nothing said of its URL."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from expunge.cli.app import app
from tests.cli.conftest import Expunge

OPTIONS = ("--source", "crm", "--table", "asked", "--cursor-column", "number")
NAMED = ("--column", "id=number", "--column", "subject_id=customer")


class Team:
    """The team's database, in a SQLite file of theirs."""

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder / 'team.db'}"
        self.engine = sa.create_engine(self.url)
        self.run("CREATE TABLE asked (number INTEGER PRIMARY KEY, customer TEXT, dataset TEXT)")

    def run(self, *statements: str) -> None:
        with self.engine.begin() as connection:
            for each in statements:
                connection.exec_driver_sql(each)

    def ask(self, number: int, customer: str | None) -> None:
        with self.engine.begin() as connection:
            connection.exec_driver_sql("INSERT INTO asked VALUES (?, ?, '')", (number, customer))


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return Team(tmp_path)


@pytest.fixture
def read(expunge: Expunge, team: Team, tmp_path: Path):
    url_file = tmp_path / "url"
    url_file.write_text(f"{team.url}\n")

    def run(*more: str):
        arguments = ("import-table", *OPTIONS, *NAMED, "--url-file", str(url_file), *more)
        return expunge("request", *arguments)

    return run


def externals(expunge: Expunge) -> list[str]:
    return sorted(each["external_id"] for each in expunge.json("request", "list"))


def test_each_run_files_what_is_new(expunge, team, read):
    team.ask(1, "ada")
    team.ask(2, "bob")
    assert "2 accepted, 0 duplicates" in read().stdout
    team.ask(3, "cyd")
    assert "1 accepted, 1 duplicates" in read().stdout
    assert "0 accepted, 3 duplicates" in read("--from-start").stdout
    assert externals(expunge) == ["1", "2", "3"]


def test_a_row_that_cannot_be_taken_is_read_again_until_it_is_mended(expunge, team, read):
    team.ask(1, "ada")
    team.ask(2, None)
    team.ask(3, "cyd")
    for _ in range(2):
        told = read()
        assert told.exit_code == 1
        assert "2   field subject_id is missing" in told.stdout
    team.run("UPDATE asked SET customer = 'bob' WHERE number = 2")
    assert "1 accepted, 2 duplicates" in read().stdout
    assert externals(expunge) == ["1", "2", "3"]


def test_rejected_rows_can_be_passed(expunge, team, read):
    team.ask(1, None)
    team.run("INSERT INTO asked VALUES (2, 'bob', 'nowhere')")
    team.ask(3, "cyd")
    passed = read("--skip-rejected")
    assert passed.exit_code == 1
    assert "2   names a dataset without a spec" in passed.stdout
    again = read()
    assert (again.exit_code, externals(expunge)) == (0, ["3"])


def test_the_url_comes_from_the_environment_or_standard_input(expunge, team):
    team.ask(1, "ada")
    arguments = ["request", "import-table", *OPTIONS, *NAMED]
    from_stdin = expunge(*arguments, "--url-file", "-", stdin=team.url)
    assert "1 accepted" in from_stdin.stdout
    env = {"EXPUNGE_WORKSPACE": str(expunge.root), "EXPUNGE_SOURCE_URL": team.url}
    assert "1 duplicates" in CliRunner(env=env).invoke(app, arguments).stdout
    assert expunge(*arguments).exit_code == 2
    assert expunge(*arguments, "--url-file", "-", stdin="two urls").exit_code == 2


def test_neither_url_nor_subject_is_said_or_kept(expunge, team, read, tmp_path):
    team.ask(1, "secret-person")
    assert "1 accepted" in read().stdout
    secret = "postgresql://user:hidden@127.0.0.1:1/none"
    refused = expunge("request", "import-table", *OPTIONS, *NAMED, "--url-file", "-", stdin=secret)
    assert refused.exit_code == 75
    assert "did not answer" in refused.stderr
    assert "hidden" not in refused.output
    stored = b"".join(path.read_bytes() for path in (expunge.root / ".expunge").glob("ledger.db*"))
    assert b"asked" in stored
    for each in (b"secret-person", b"hidden", b"team.db"):
        assert each not in stored


def test_another_table_under_the_same_name_is_an_error(expunge, team, read):
    team.ask(1, "ada")
    read()
    team.run("CREATE VIEW others AS SELECT * FROM asked")
    wrong = read("--table", "others")
    assert wrong.exit_code == 1
    assert "is read from table 'asked' by column 'number'" in wrong.stderr


def test_a_column_option_is_a_pair(read):
    assert read("--column", "subject_id").exit_code == 2
    assert "choose from id, subject_id" in read("--column", "person=customer").stderr
