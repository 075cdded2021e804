"""What is derived from people's rows: used again while it may be, made anew once it may not."""

from __future__ import annotations

import pytest

from expunge.line import Line
from expunge.requests import Derived
from tests.line.small import file, people_in, run

pytestmark = pytest.mark.usefixtures("quick")


def derived(line: Line, kind: str) -> Derived:
    (made,) = (each for each in line.ledger.derived_of("small") if each.kind == kind)
    return made


def references(line: Line) -> Derived:
    return derived(line, "references")


def test_reference_models_are_rebuilt_only_when_someone_they_learned_from_is_erased(
    line: Line,
) -> None:
    first, second, third = people_in(line, "T", 3)
    file(line, first)
    run(line)
    made = references(line)
    assert (made.roles, made.dataset_ordinal, made.state) == ("R", 2, "valid")
    file(line, second, first=10)
    run(line)
    assert references(line) == made

    file(line, *people_in(line, "R", 1), first=20)
    run(line)
    assert references(line).state == "invalid"
    file(line, third, first=30)
    run(line)
    rebuilt = references(line)
    assert (rebuilt.key, rebuilt.dataset_ordinal, rebuilt.state) == (made.key, 5, "valid")
    assert rebuilt.digest != made.digest


def test_the_generator_is_fitted_once_and_again_after_an_erasure_in_a_role_it_was_made_from(
    line: Line,
) -> None:
    first, second = people_in(line, "T", 2)
    file(line, first)
    run(line)
    made = derived(line, "generator")
    assert (made.roles, made.dataset_ordinal, made.state) == ("RFV", 2, "valid")
    file(line, second, first=10)
    run(line)
    assert derived(line, "generator") == made
    file(line, *people_in(line, "F", 1), first=20)
    run(line)
    assert derived(line, "generator").state == "invalid"
    assert references(line).state == "valid"


def test_scratch_copies_of_older_versions_do_not_outlive_an_erasure(line: Line) -> None:
    spec = line.workspace.dataset("small")
    copies = line.workspace.state("scratch", "small")
    old = line.scratch(spec, "T")
    assert old.exists()
    file(line, *people_in(line, "T", 1))
    run(line)
    version = line.current_version("small").md5.removesuffix(".dir")
    assert not old.exists()
    assert [path.name for path in copies.iterdir()] == [version]
