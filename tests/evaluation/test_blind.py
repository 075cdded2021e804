import json
import time

import numpy as np
import torch

from expunge.evaluation import blind_classifier
from expunge.evaluation.blind import read_inputs, sketch
from tests.evaluation.tiny import People, crowd


def test_people_of_one_kind_cannot_be_told_apart():
    found = [
        blind_classifier(crowd(50, 5, seed), crowd(80, 5, 100 + seed, first=500), seed=seed)
        for seed in range(3)
    ]
    values = [each.metric.value for each in found]
    assert np.mean(values) == np.clip(np.mean(values), 0.45, 0.54)
    assert not any(each.distribution_differs for each in found)
    assert "no difference" in found[0].words


def test_people_of_another_kind_are_told_apart_and_membership_is_then_invalid():
    forget, held_out = crowd(50, 5, 0), crowd(80, 5, 1, first=500)
    shifted = People(forget.x + 0.4, forget.labels, forget.subject_codes)
    found = blind_classifier(shifted, held_out, seed=0)
    assert found.distribution_differs
    assert found.metric.low > 0.5
    assert "invalid" in found.words
    assert json.loads(json.dumps(found.to_json()))["distribution_differs"] is True


def test_a_difference_that_no_linear_function_sees_is_found_too():
    forget, held_out = crowd(60, 5, 0), crowd(100, 5, 1, first=500)
    wider = People(forget.x * 1.5, forget.labels, forget.subject_codes)
    assert blind_classifier(wider, held_out, seed=0).distribution_differs


def test_a_difference_in_the_shares_of_classes_is_no_difference():
    rng = np.random.default_rng(0)
    many, held_out = crowd(150, 5, 0), crowd(150, 5, 1, first=500)
    forget = many.select(np.flatnonzero((many.labels == 0) | (rng.random(750) < 0.2)))
    found = blind_classifier(forget, held_out, seed=0)
    assert not found.distribution_differs


def test_what_is_particular_to_each_person_does_not_count():
    # Every person has a place of their own: by row they would be told apart perfectly.
    rng = np.random.default_rng(3)
    places = rng.normal(size=(200, 12)) * 3
    forget, held_out = crowd(40, 8, 0), crowd(80, 8, 1, first=100)
    moved = [
        People(each.x + torch.tensor(places[each.subject_codes]), each.labels, each.subject_codes)
        for each in (forget, held_out)
    ]
    assert blind_classifier(*moved, seed=0).metric.value < 0.6


def test_one_person_and_classes_nobody_else_has_leave_it_undefined():
    held_out = crowd(30, 5, 1, first=100)
    one = blind_classifier(crowd(1, 40, 0), held_out, seed=0)
    assert "20 needed" in one.metric.undefined
    assert not one.distribution_differs
    assert "cannot be told" in one.words
    odd = crowd(5, 5, 2)
    unknown = People(odd.x, odd.labels + 3, odd.subject_codes)
    assert "one class" in blind_classifier(unknown, held_out, seed=0).metric.undefined


def test_wide_inputs_are_sketched_and_keep_their_distances():
    rng = np.random.default_rng(0)
    rows = People(rng.normal(size=(40, 5000)), np.zeros(40), np.arange(40))
    small = sketch(rows, np.arange(40), seed=0)
    assert small.shape == (40, 256)
    pairs = [(a, a + 1) for a in range(39)]
    true = [float(torch.dist(rows.x[a], rows.x[b])) for a, b in pairs]
    found = [np.linalg.norm(small[a] - small[b]) for a, b in pairs]
    np.testing.assert_allclose(found, true, rtol=0.25)


def test_narrow_inputs_are_kept_and_read_in_chunks():
    rows = crowd(10, 5, 0)
    at = np.array([3, 1, 40, 7])
    assert np.array_equal(sketch(rows, at, seed=0), rows.x[at].double().numpy())
    assert [len(block) for block in read_inputs(rows, at, chunk=3)] == [3, 1]


def test_it_is_the_same_for_a_seed_and_takes_seconds_on_images():
    rng = np.random.default_rng(0)
    sides = [
        People(rng.normal(size=(500, 1, 28, 28)), np.arange(500) % 10, first + np.arange(500) // 5)
        for first in (0, 100)
    ]
    began = time.process_time()
    first = blind_classifier(*sides, seed=1)
    assert time.process_time() - began < 10
    assert first == blind_classifier(*sides, seed=1)
