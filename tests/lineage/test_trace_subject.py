"""One person's trace: which versions of data and models held them, and which still do."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from expunge.dataset import Holding
from expunge.lineage import Graph, View, as_json, subject_graph, to_json, to_tree
from tests.lineage.trace_story import MODEL, PEOPLE, Story, story_in

TRAINED = Holding(12, {"T": 12}, {0: 12}, {1: 12}, {0: 12}, shard=7)
HELD_OUT = Holding(5, {"E": 5}, {0: 5}, {}, {}, shard=3)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with story_in(tmp_path_factory.mktemp("ledger")) as told:
        yield told


def linked(graph: Graph, label: str) -> set[str]:
    return {edge.target[1] for edge in graph.edges if edge.label == label}


def fact(graph: Graph, name: str) -> object:
    return dict(graph.start.facts).get(name)


def test_an_erased_person_was_held_until_the_erasure_and_by_the_model_of_then(story: Story) -> None:
    graph = subject_graph(story.ledger, "digits", PEOPLE[0], None)
    assert fact(graph, "known") is True
    assert (fact(graph, "erased_in"), fact(graph, "erased_by")) == ("digits@2", story.batch_id)
    assert (fact(graph, "in_current_version"), fact(graph, "still_in_champion")) == (False, "none")
    assert linked(graph, "held by") == {"digits@1", f"{MODEL} 1"}
    assert linked(graph, "may be held by") == set()
    assert linked(graph, "erased in") == {"digits@2"}
    assert linked(graph, "forgotten in") == {f"{MODEL} 2"}
    assert linked(graph, "filed") == {story.requests[0]}


def test_an_erased_person_who_was_held_out_is_in_no_model(story: Story) -> None:
    graph = subject_graph(story.ledger, "digits", PEOPLE[1], None)
    assert linked(graph, "held by") == {"digits@1"}
    assert linked(graph, "forgotten in") == set()


def test_someone_who_is_there_is_in_the_version_and_in_models_that_saw_their_ingest(
    story: Story,
) -> None:
    graph = subject_graph(story.ledger, "digits", "writer-0042", TRAINED)
    assert fact(graph, "in_current_version") is True
    assert linked(graph, "held by") == {"digits@2", f"{MODEL} 1", f"{MODEL} 2"}
    assert fact(graph, "still_in_champion") == f"{MODEL} 2"
    (rows,) = [each for each in to_tree(graph).walk() if each.kind == "rows"]
    assert (rows.fact("rows"), rows.fact("role_T"), rows.fact("shard")) == (12, 12, 7)


def test_someone_whose_rows_are_held_out_is_in_no_model(story: Story) -> None:
    graph = subject_graph(story.ledger, "digits", "writer-0043", HELD_OUT)
    assert linked(graph, "held by") == {"digits@2"}


def test_someone_unknown_is_said_to_be_so_and_leads_nowhere(story: Story) -> None:
    graph = subject_graph(story.ledger, "digits", "writer-1234", None)
    assert fact(graph, "known") is False
    assert (len(graph.nodes), graph.edges) == (1, ())


def test_someone_who_asked_but_was_never_there_has_a_request_only(story: Story) -> None:
    graph = subject_graph(story.ledger, "digits", PEOPLE[2], None)
    assert fact(graph, "known") is True
    assert fact(graph, "erased_in") is None
    assert {node.kind for node in graph.nodes.values()} == {"subject", "request"}


def test_the_answer_never_names_the_person(story: Story) -> None:
    for person, held in ((PEOPLE[0], None), (PEOPLE[0], TRAINED), (PEOPLE[2], None)):
        graph = subject_graph(story.ledger, "digits", person, held, View(5, "down"))
        said = json.dumps([to_json(to_tree(graph)), as_json(graph)])
        assert person not in said
        assert story.ledger.request(story.requests[0]).subject_ref not in said


def test_a_person_is_found_under_an_old_key_after_rotation(story: Story) -> None:
    story.ledger._store.keys.rotate_reference()
    graph = subject_graph(story.ledger, "digits", PEOPLE[0], None)
    assert fact(graph, "erased_in") == "digits@2"
