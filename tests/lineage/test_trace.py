"""Traces over a real ledger that one batch has gone through: a refusal, then a promotion."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from expunge.errors import TerminalError
from expunge.lineage import (
    NothingToTraceError,
    Tree,
    render,
    to_json,
    trace_dataset,
    trace_model,
    trace_request,
)
from expunge.lineage.tree import facts, from_json
from tests.lineage.trace_story import MODEL, NOW, PEOPLE, Story, story_in


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with story_in(tmp_path_factory.mktemp("ledger")) as told:
        yield told


def found(tree: Tree, kind: str) -> list[Tree]:
    return [each for each in tree.walk() if each.kind == kind]


def printed(tree: Tree) -> str:
    console = Console(file=StringIO(), width=400)
    console.print(render(tree))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_a_request_leads_to_data_rungs_and_the_model_that_forgot(story: Story) -> None:
    tree = trace_request(story.ledger, story.requests[0])
    assert tree.fact("state") == "completed"
    (settlement,) = found(tree, "settlement")
    assert settlement.facts == (("state", "settled"), ("version", "2"))
    (batch,) = found(tree, "batch")
    assert (batch.fact("before"), batch.fact("after")) == ("digits@1", "digits@2")
    assert (batch.fact("rows"), batch.fact("shards")) == (40, "4, 9")
    assert [each.title for each in found(tree, "dataset version")] == ["digits@2"]
    rungs = [(each.title, each.fact("outcome")) for each in found(tree, "rung")]
    assert rungs == [("1: top_k", "fail"), ("2: random_k", "pass")]
    assert [each.fact("estimate") for each in found(tree, "criterion")] == [0.71, 0.52]
    (promotion,) = found(tree, "promotion")
    assert promotion.title == f"{MODEL} 2"
    assert promotion.fact("promoted_at") == "2026-11-21T12:00:00+00:00"
    history = [each.title for each in found(tree, "event")]
    assert history[0] == "received"
    assert history[-1] == "completed"


def test_a_person_who_never_was_there_has_no_model_behind_it(story: Story) -> None:
    tree = trace_request(story.ledger, story.requests[2])
    assert tree.fact("state") == "no_match"
    assert found(tree, "settlement") == found(tree, "promotion") == found(tree, "batch") == []
    (target,) = found(tree, "target")
    assert target.fact("batch") == story.batch_id


def test_a_model_version_leads_back_to_its_parent_data_and_requests(story: Story) -> None:
    tree = trace_model(story.ledger, MODEL, "2")
    assert (tree.fact("champion"), tree.fact("strategy"), tree.fact("may_serve")) == (
        True,
        "random_k",
        True,
    )
    chain = [each for each in tree.children if each.kind == "model version"]
    assert [each.title for each in chain] == [f"{MODEL} 1"]
    assert chain[0].fact("may_serve") is False, "it saw rows that were erased since"
    assert {each.title for each in found(tree, "request")} == set(story.requests[:2])


def test_a_parent_names_what_was_made_from_it(story: Story) -> None:
    made = [e for e in trace_model(story.ledger, MODEL, "1").children if e.link == "became"]
    assert [each.title for each in made] == [f"{MODEL} 2"]


def test_a_model_lists_its_versions_champion_and_floor(story: Story) -> None:
    tree = trace_model(story.ledger, MODEL)
    assert (tree.fact("champion"), tree.fact("rollback_floor")) == ("2", "2")
    assert [each.title for each in tree.children] == [f"{MODEL} 1", f"{MODEL} 2"]


def test_a_dataset_version_leads_to_its_batch_models_and_derived_files(story: Story) -> None:
    first, second = trace_dataset(story.ledger, "digits").children
    assert f"{MODEL} 1" in [each.title for each in found(first, "model version")]
    assert [each.fact("made") for each in found(first, "derived")] == ["reference"]
    assert story.batch_id in [each.title for each in found(second, "batch")]
    assert second.fact("rows") == 7960
    full = trace_dataset(story.ledger, "digits", "2")
    assert {each.title for each in found(full, "request")} == set(story.requests[:2])


@pytest.mark.parametrize("version", ["1", "a" * 32 + ".dir", "aaaaaaaa", "c" * 12])
def test_a_dataset_version_is_found_by_ordinal_md5_or_commit(story: Story, version: str) -> None:
    assert trace_dataset(story.ledger, "digits", version).title == "digits@1"


def test_what_the_ledger_does_not_know_is_a_clear_error(story: Story) -> None:
    ledger = story.ledger
    with pytest.raises(TerminalError, match="no request r-0000"):
        trace_request(ledger, "r-0000")
    with pytest.raises(NothingToTraceError, match="no version of a model 'other'"):
        trace_model(ledger, "other")
    with pytest.raises(NothingToTraceError, match="no version '7'; it has 1, 2"):
        trace_model(ledger, MODEL, "7")
    with pytest.raises(NothingToTraceError, match="no version of a dataset"):
        trace_dataset(ledger, "other")
    for version in ("7", "a", "ffffffff"):
        with pytest.raises(NothingToTraceError, match="No versions"):
            trace_dataset(ledger, "digits", version)


def test_no_trace_names_a_person_and_a_reference_is_shortened(story: Story) -> None:
    trees = [
        *(trace_request(story.ledger, each) for each in story.requests),
        trace_model(story.ledger, MODEL, "2"),
        trace_dataset(story.ledger, "digits"),
    ]
    reference = story.ledger.request(story.requests[0]).subject_ref
    for tree in trees:
        said = printed(tree) + json.dumps(to_json(tree))
        assert not any(person in said for person in PEOPLE)
        assert reference not in said
    assert f"{reference[:12]}…" in printed(trees[0])
    assert trees[0].fact("key_id") == story.ledger.request(story.requests[0]).key_id


def test_the_printed_tree_says_what_was_decided(story: Story) -> None:
    said = printed(trace_request(story.ledger, story.requests[0]))
    assert "rung 1: top_k  outcome fail" in said
    assert f"promotion {MODEL} 2" in said


values = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
trees = st.recursive(
    st.builds(Tree, st.text(max_size=5), st.text(max_size=5)),
    lambda below: st.builds(
        Tree,
        st.text(max_size=5),
        st.text(max_size=5),
        st.dictionaries(st.text(max_size=5), values, max_size=3).map(lambda d: tuple(d.items())),
        st.lists(below, max_size=3).map(tuple),
    ),
    max_leaves=8,
)


@given(trees)
def test_json_holds_the_whole_tree(tree: Tree) -> None:
    assert from_json(json.loads(json.dumps(to_json(tree)))) == tree


@given(trees)
def test_every_tree_can_be_printed(tree: Tree) -> None:
    assert sum(1 for _ in tree.walk()) <= printed(tree).count("\n")


def test_facts_leave_out_what_is_not_known() -> None:
    assert facts(rows=0, reason=None, at=NOW) == (("rows", 0), ("at", "2026-11-21T12:00:00+00:00"))
