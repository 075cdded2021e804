import json

import numpy as np
import pytest
import torch

from expunge.evaluation import near_duplicates
from tests.evaluation.tiny import FACTORY, People, crowd


@pytest.fixture
def splits():
    return crowd(30, 5, 0), crowd(100, 5, 1, first=100), crowd(100, 5, 2, first=300)


def copies(rows, of, noise, owner):
    generator = torch.Generator().manual_seed(0)
    x = rows.x[of] + noise * torch.randn(len(of), rows.x.shape[1], generator=generator)
    return People(x, rows.labels[of], np.full(len(of), owner))


def test_people_of_one_kind_have_near_rows_as_often_as_by_chance(splits):
    found = near_duplicates(*splits, seed=0)
    assert (found.rows, found.others, found.exact) == (150, 500, 0)
    assert found.p > 0.01
    assert found.expected == pytest.approx(1.5, abs=0.5)


@pytest.mark.parametrize("model", [None, FACTORY.build(0)])
def test_copies_in_another_name_are_found_exact_or_not(splits, model):
    forget, others, held_out = splits
    planted = others.plus(copies(forget, range(0, 150, 15), 0.0, 999))
    planted = planted.plus(copies(forget, range(7, 150, 10), 0.01, 998))
    found = near_duplicates(forget, planted, held_out, model=model, seed=0)
    assert found.exact == 10
    assert 25 <= found.near <= 32
    assert found.near_people >= 15
    assert found.p < 1e-3
    assert found.distances[0] < 1e-6 < found.held_out_distances[0]
    assert "10 stand unchanged among 525 rows" in found.words


def test_a_persons_own_copies_do_not_count(splits):
    forget, others, held_out = splits
    mine = forget.select(range(20))
    found = near_duplicates(forget, others.plus(mine), held_out, seed=0)
    assert found.exact == 0
    assert found == near_duplicates(forget, others.plus(mine), held_out, seed=0)
    assert found.near == near_duplicates(forget, others, held_out, seed=0).near


def test_a_row_that_its_owner_and_a_stranger_have_counts(splits):
    forget, others, held_out = splits
    both = forget.select(range(3)).plus(copies(forget, range(3), 0.0, 999))
    assert near_duplicates(forget, others.plus(both), held_out, seed=0).exact == 3


def test_distances_are_those_of_brute_force_in_chunks_of_any_size(splits, monkeypatch):
    forget, others, held_out = splits
    apart = torch.cdist(forget.x.double(), others.x.double()).min(dim=1).values.numpy()
    expected = [np.quantile(apart, q, method="lower") for q in (0.01, 0.05, 0.25, 0.5)]
    for chunk in (2_048, 7):
        monkeypatch.setattr("expunge.evaluation.duplicates._CHUNK", chunk)
        found = near_duplicates(forget, others, held_out, seed=0)
        assert found.distances == pytest.approx(expected, abs=1e-9)


def test_positive_and_negative_zero_are_one_number():
    forget = People(torch.zeros(1, 12), [0], [1])
    others = People(-torch.zeros(1, 12), [0], [2])
    assert near_duplicates(forget, others, crowd(5, 5, 0, first=10), seed=0).exact == 1


def test_the_result_holds_counts_and_distances_only(splits):
    record = near_duplicates(*splits, seed=0).to_json()
    assert json.loads(json.dumps(record))["rows"] == 150
    assert set(record) == {
        "rows", "others", "space", "exact", "near", "near_people", "people", "expected", "p",
        "threshold", "distances", "held_out_distances", "undefined",
    }  # fmt: skip


def test_an_empty_split_leaves_it_undefined(splits):
    forget, others, _ = splits
    found = near_duplicates(forget, others, crowd(0, 0, 0), seed=0)
    assert found.undefined == "a split has no rows"
    assert found.to_json()["threshold"] is None
