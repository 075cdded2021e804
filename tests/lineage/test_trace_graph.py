"""The graph behind every trace: both ways, at any depth, and as a diagram."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expunge.lineage import (
    Edge,
    Graph,
    Node,
    NothingToTraceError,
    View,
    as_json,
    dataset_graph,
    dot,
    mermaid,
    model_graph,
    request_graph,
    run_graph,
    to_tree,
)
from tests.lineage.trace_story import MODEL, PEOPLE, Story, story_in

FAR = View(depth=9)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with story_in(tmp_path_factory.mktemp("ledger")) as told:
        yield told


def labels(graph: Graph) -> set[tuple[str, str, str]]:
    return {(edge.source[1], edge.label, edge.target[1]) for edge in graph.edges}


def test_a_request_leads_down_to_every_version_and_model_that_followed(story: Story) -> None:
    graph = request_graph(story.ledger, story.requests[0], View(9, "down"))
    assert labels(graph) == {
        (story.requests[0], "in", story.batch_id),
        (story.batch_id, "made", "digits@2"),
        (story.batch_id, "made", f"{MODEL} 2"),
        ("digits@2", "trained", f"{MODEL} 2"),
    }


def test_a_model_leads_up_to_every_request_and_version_before_it(story: Story) -> None:
    graph = model_graph(story.ledger, MODEL, "2", View(9, "up"))
    assert {node.name for node in graph.of_kind("request")} == set(story.requests[:2])
    assert {node.name for node in graph.of_kind("dataset version")} == {"digits@1", "digits@2"}
    assert ("digits@1", "rewritten by", story.batch_id) in labels(graph)
    assert (f"{MODEL} 1", "became", f"{MODEL} 2") in labels(graph)


def test_the_edges_are_the_same_from_either_end(story: Story) -> None:
    down = request_graph(story.ledger, story.requests[0], View(9, "down"))
    up = model_graph(story.ledger, MODEL, "2", View(9, "up"))
    assert labels(down) <= labels(up)


def test_depth_counts_links_and_none_shows_the_start_alone(story: Story) -> None:
    sizes = [
        len(model_graph(story.ledger, MODEL, "2", View(depth, "up")).nodes) for depth in range(4)
    ]
    assert sizes[0] == 1
    assert sizes == sorted(sizes)
    assert {
        edge.there[1] for edge in model_graph(story.ledger, MODEL, "2", View(1, "up")).edges
    } == {
        f"{MODEL} 1",
        "digits@2",
        story.batch_id,
    }


def test_what_is_beyond_the_limit_is_counted(story: Story) -> None:
    graph = model_graph(story.ledger, MODEL, "2", View(2, "up", most=1))
    assert len(graph.of_kind("request")) == 1
    (more,) = [each for each in graph.more if each.kind == "request"]
    assert (more.here, more.count) == (("batch", story.batch_id), "1")
    newest = dataset_graph(story.ledger, "digits", view=View(1, most=1))
    assert [node.name for node in newest.of_kind("dataset version")] == ["digits@2"]


def test_a_run_leads_to_the_model_version_that_it_made(story: Story) -> None:
    assert run_graph(story.ledger, "run2", FAR) == model_graph(story.ledger, MODEL, "2", FAR)
    with pytest.raises(NothingToTraceError, match="MLflow run"):
        run_graph(story.ledger, "run9")


def test_json_lists_every_node_once_and_edges_by_their_places(story: Story) -> None:
    graph = dataset_graph(story.ledger, "digits", "1", FAR)
    told = as_json(graph)
    assert [each["name"] for each in told["nodes"]] == [node.name for node in graph.nodes.values()]
    ends = {
        (told["nodes"][edge["from"]]["name"], edge["label"], told["nodes"][edge["to"]]["name"])
        for edge in told["edges"]
    }
    assert ends == labels(graph)


@pytest.mark.parametrize("draw", [mermaid, dot])
def test_a_diagram_has_every_node_and_edge_and_no_person(story: Story, draw: object) -> None:
    assert callable(draw)
    graph = dataset_graph(story.ledger, "digits", "1", FAR)
    text = draw(graph)
    assert len(re.findall(r"-->\||->", text)) >= len(graph.edges)
    assert all(f"n{number}" in text for number in range(len(graph.nodes)))
    assert not any(person in text for person in PEOPLE)


def test_graphviz_reads_what_is_written_for_it(story: Story) -> None:
    program = shutil.which("dot")
    if program is None:
        pytest.skip("Graphviz is not installed")
    text = dot(dataset_graph(story.ledger, "digits", "1", FAR))
    drawn = subprocess.run(
        [program, "-Tsvg"], input=text, capture_output=True, text=True, check=True
    )
    assert "<svg" in drawn.stdout


names = st.text(min_size=1, max_size=6)


@given(names, names)
def test_no_name_breaks_out_of_its_label(first: str, second: str) -> None:
    one, two = Node("batch", first), Node("request", second)
    graph = Graph({one.key: one, two.key: two}, (Edge(one.key, two.key, "made"),))
    lines = mermaid(graph).split("\n")
    assert all(line.count('"') in (0, 2) for line in lines)
    quotes = [re.sub(r"\\.", "", line).count('"') for line in dot(graph).split("\n")]
    assert all(number % 2 == 0 for number in quotes)


@given(st.sets(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=15))
def test_a_tree_tells_each_node_that_can_be_reached_in_full_once(
    pairs: set[tuple[int, int]],
) -> None:
    nodes = [Node("batch", str(number), (("state", "finished"),)) for number in range(7)]
    edges = tuple(Edge(nodes[a].key, nodes[b].key, "made") for a, b in sorted(pairs))
    tree = to_tree(Graph({node.key: node for node in nodes}, edges))
    reached, frontier = {0}, {0}
    while frontier:
        frontier = {b for a, b in pairs if a in frontier} - reached
        reached |= frontier
    full = [each.title for each in tree.walk() if each.facts]
    assert sorted(full) == sorted(str(number) for number in reached)
