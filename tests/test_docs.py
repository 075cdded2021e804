"""The documentation as a whole: a test runs every command in it, every link leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.documented import PAGES, REPOSITORY, commands

RUNBOOKS = [each.name for each in PAGES if each.parent.name == "runbooks" and each.stem != "README"]

RUN_BY = {
    "docs/bring-your-own.md": "tests/cli/test_guide.py",
    "docs/running.md": "tests/cli/test_guide.py",
    "docs/trace.md": "tests/cli/test_guide.py",
    "docs/experiments.md": "tests/benchmarks/test_experiment.py",
    "docs/inputs.md": "tests/dataset/test_docs_inputs.py",
    "docs/requests.md": "tests/cli/test_requests_doc.py",
    "docs/cli.md": "tests/cli/test_reference.py",
    **{f"docs/runbooks/{each}": "tests/cli/test_runbooks.py" for each in RUNBOOKS},
}
"""Pages whose commands a test follows from first to last."""

ELSEWHERE = {
    "make demo": "tests/cli/test_demo.py runs what it runs",
    "make test": "you are in it",
    "expunge audit digits-cnn": "tests/cli/test_audit.py, on a model that trains in seconds",
    "expunge audit scan-net": "the same",
    "expunge metrics": "tests/cli/test_metrics.py",
    'expunge approve b-20261121-7ed5c5 --reason "figures checked"': "tests/cli/test_approve.py",
}
"""Commands of other pages that a test runs in another form, which takes minutes as it stands."""

PROMPT = re.compile(r"^ *\$ ", re.MULTILINE)
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]*))?\)")


def name_of(page: Path) -> str:
    return page.relative_to(REPOSITORY).as_posix()


def _text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_is_run_by_a_test(page: Path) -> None:
    if name_of(page) in RUN_BY:
        return
    followed = {command.line for name in RUN_BY for command in commands(_text(REPOSITORY / name))}
    shown = {command.line for command in commands(_text(page))}
    assert shown <= followed | set(ELSEWHERE), "follow the page in a test, and add it to RUN_BY"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_stand_in_console_blocks_where_the_tests_find_them(page: Path) -> None:
    assert len(PROMPT.findall(_text(page))) == len(commands(_text(page)))


@pytest.mark.parametrize(("page", "test"), RUN_BY.items())
def test_a_page_is_followed_by_the_test_that_is_named(page: str, test: str) -> None:
    assert Path(page).name in (REPOSITORY / test).read_text()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for target, part in LINK.findall(_text(page)):
        found = (page.parent / target).resolve() if target else page
        assert found.exists(), f"{name_of(page)} links to {target}"
        if part and found.suffix == ".md":
            assert part in _anchors(found), f"{name_of(page)} links to {target}#{part}"


def _anchors(page: Path) -> set[str]:
    """Headings as GitHub makes anchors of them."""
    headings = re.findall(r"^#+ (.+)$", _text(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("index", ["docs/README.md", "docs/runbooks/README.md"])
def test_the_index_of_a_folder_names_every_page_in_it(index: str) -> None:
    folder = (REPOSITORY / index).parent
    for page in PAGES:
        if page.parent == folder and page.name != "README.md":
            assert f"({page.name}" in _text(REPOSITORY / index)
