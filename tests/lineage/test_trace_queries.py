"""Every query of a trace finds its rows by an index, and reads no more than it shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import event

from expunge.dataset import Holding
from expunge.lineage import (
    View,
    dataset_graph,
    model_graph,
    request_graph,
    run_graph,
    subject_graph,
)
from tests.lineage.trace_story import MODEL, PEOPLE, Story, story_in

FAR = View(depth=9)
HELD = Holding(12, {"T": 12}, {0: 12}, {1: 12}, {0: 12}, shard=7)
TRACES: dict[str, Callable[[Story], Any]] = {
    "request": lambda story: request_graph(story.ledger, story.requests[0], FAR),
    "model": lambda story: model_graph(story.ledger, MODEL, view=FAR),
    "model version": lambda story: model_graph(story.ledger, MODEL, "2", FAR),
    "dataset": lambda story: dataset_graph(story.ledger, "digits", view=FAR),
    "dataset by md5": lambda story: dataset_graph(story.ledger, "digits", "bbbbbb", FAR),
    "run": lambda story: run_graph(story.ledger, "run2", FAR),
    "subject": lambda story: subject_graph(story.ledger, "digits", PEOPLE[0], None, FAR),
    "subject there": lambda story: subject_graph(
        story.ledger, "digits", "writer-1", HELD, View(9, most=1)
    ),
}


@dataclass(frozen=True)
class Asked:
    """One statement with its parameters."""

    statement: str
    parameters: Any


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with story_in(tmp_path_factory.mktemp("ledger")) as told:
        yield told


def asked(story: Story, trace: Callable[[Story], Any]) -> list[Asked]:
    engine, found = story.ledger._store.engine, []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        if statement.startswith("SELECT"):
            found.append(Asked(statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    try:
        trace(story)
    finally:
        event.remove(engine, "before_cursor_execute", note)
    return found


@pytest.mark.parametrize("name", TRACES)
def test_no_query_of_a_trace_scans_a_table(story: Story, name: str) -> None:
    queries = asked(story, TRACES[name])
    assert queries
    with story.ledger._store.engine.connect() as connection:
        for query in queries:
            plan = connection.exec_driver_sql(
                f"EXPLAIN QUERY PLAN {query.statement}", query.parameters
            )
            steps = [row.detail for row in plan]
            scans = [step for step in steps if step.startswith("SCAN") and "anon_1" not in step]
            assert not scans, f"{scans} in {query.statement}"


@pytest.mark.parametrize("name", TRACES)
def test_every_query_that_may_find_many_rows_has_a_limit_or_one_batch(
    story: Story, name: str
) -> None:
    many = ("FROM targets \nWHERE targets.batch_id", "FROM model_versions", "FROM derived")
    for query in asked(story, TRACES[name]):
        one = "model_versions.version = ?" in query.statement
        if any(each in query.statement for each in many) and not one:
            assert "LIMIT" in query.statement, query.statement
