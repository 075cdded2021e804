"""Datasets and requests of the benchmark."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.compare import data
from benchmarks.compare.cell import label
from benchmarks.compare.sources import DATA, AbsentError

DATASETS = ("digits", "fashion", "spoken", "writers")


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("digits")
    data.ingest("digits", folder)
    return folder


@pytest.mark.parametrize("request_name", ["random-1", "random-5", "subjects", "class"])
def test_forget_and_retain_split_the_champions_rows(request_name: str, digits: Path) -> None:
    splits = data.splits("digits", request_name, 0, digits)
    assert 0 < len(splits.forget) < len(splits.trained)
    gone, kept = splits.forget.picked, splits.retain.picked
    assert gone is not None
    assert kept is not None
    assert np.array_equal(np.sort(np.r_[gone, kept]), np.arange(len(splits.trained)))


def test_a_class_is_forgotten_whole_and_whole_people_keep_no_row(digits: Path) -> None:
    by_class = data.splits("digits", "class", 1, digits)
    assert not set(by_class.forget.labels) & set(by_class.retain.labels)
    people = data.splits("digits", "subjects", 1, digits)
    assert not set(people.forget.subject_codes) & set(people.retain.subject_codes)


def test_no_role_shares_a_person_with_another(digits: Path) -> None:
    splits = data.splits("digits", "random-5", 0, digits)
    people = [
        set(each.subject_codes)
        for each in (splits.trained, splits.held_out, splits.reference, splits.fit, splits.tune)
    ]
    assert sum(map(len, people)) == len(set().union(*people))


def test_another_seed_forgets_other_rows_and_the_same_seed_the_same(digits: Path) -> None:
    first, again, other = (data.splits("digits", "random-5", n, digits).forget for n in (0, 0, 1))
    assert np.array_equal(first.picked, again.picked)
    assert not np.array_equal(first.picked, other.picked)


@pytest.mark.parametrize("dataset", ["fashion", "spoken"])
def test_an_absent_dataset_is_said_to_be_absent(
    dataset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(DATA, raising=False)
    with pytest.raises(AbsentError, match="is not in"):
        data.ingest(dataset, tmp_path)


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_rung_has_a_name_of_its_own(dataset: str) -> None:
    ladder = data.model_spec(dataset).ladder
    names = [label(rung, ladder) for rung in ladder]
    assert len(set(names)) == len(names) == 14
    assert {rung.strategy for rung in ladder} >= {"top_k", "random_k", "ssd", "salun"}
