import hashlib
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from expunge.evaluation import EvaluationError, evaluate, reference_margin, score
from expunge.evaluation.earlier import (
    Kept,
    content_digests,
    earlier_aucs,
    kept_auc,
    load_kept,
    rows_back,
    save_kept,
    untested,
)
from expunge.evaluation.inputs import EvaluationInput, SplitScores
from tests.evaluation.synthetic import inputs, people
from tests.evaluation.tiny import RECIPE, People, crowd, trained

KEY, OTHER = b"k" * 32, b"o" * 32


def kept(seed=0, m=25, auc=0.5) -> Kept:
    rng = np.random.default_rng(seed)
    scores = people(rng, m, 7, auc=auc)
    rows = crowd(m, 7, seed)
    shuffled = replace(scores, subjects=scores.subjects * 991 + 7)
    return Kept.of(shuffled, np.zeros(len(scores)), content_digests(rows, KEY))


def test_a_later_model_that_learns_earlier_people_again_is_told_from_one_that_does_not():
    retain, earlier = crowd(60, 5, 0), crowd(40, 5, 1, first=60)
    held_out, others = crowd(120, 5, 2, first=100), crowd(60, 5, 3, first=220)
    peers = [trained(others, seed, RECIPE.model_copy(update={"epochs": 3})) for seed in (3, 4)]
    clean, knowing = trained(retain, 1), trained(retain.plus(earlier), 2)

    def split(rows) -> SplitScores:
        before, after = (score(model, rows, device="cpu") for model in (clean, knowing))
        return SplitScores(before, after, reference_margin=reference_margin(peers, rows))

    given_ = EvaluationInput(split(earlier), split(retain), split(held_out))
    after, before = earlier_aucs(given_, seed=0, resamples=200)
    assert (after.name, before.name) == ("earlier_hard_row_auc", "earlier_hard_row_auc_before")
    assert after.value - 0.5 > 3 * after.gap_se
    assert abs(before.value - 0.5) < 2.5 * before.gap_se


def test_it_is_the_batchs_own_measure_on_other_rows():
    rng = np.random.default_rng(3)
    data = inputs(people(rng, 25, 7, auc=0.7), people(rng, 48, 7))
    whole = evaluate(data, seed=5, resamples=50)
    found = earlier_aucs(data, seed=5, resamples=50)
    own = [whole.metric(name) for name in ("hard_row_auc", "hard_row_auc_before")]
    assert [replace(each, name="") for each in found] == [replace(each, name="") for each in own]


def test_untested_metrics_say_why():
    assert {each.undefined for each in untested("nothing may be read")} == {"nothing may be read"}


@given(back=st.sets(st.integers(0, 29)), other_people=st.booleans())
def test_every_row_that_is_back_is_counted_whoever_has_it(back, other_people):
    earlier, rest = crowd(6, 5, 0), crowd(6, 5, 1)
    again = earlier.select(np.array(sorted(back), dtype=int))
    if other_people:
        again = People(again.x, again.labels, again.subject_codes + 1000)
    now = rest.plus(again)
    order = np.random.default_rng(len(back)).permutation(len(now))
    digests = content_digests(earlier, KEY)
    assert rows_back(digests, now.select(order), KEY) == len(back)


def test_digests_mean_nothing_without_the_key_and_are_of_the_content_alone():
    rows = crowd(4, 5, 0)
    mine, theirs = content_digests(rows, KEY), content_digests(rows, OTHER)
    assert mine.shape == (20, 16)
    assert not np.isin(mine.view("V16"), theirs.view("V16")).any()
    plain = {hashlib.blake2b(row.numpy().tobytes(), digest_size=16).digest() for row in rows.x}
    assert not plain & {row.tobytes() for row in mine}
    renamed = People(rows.x, rows.labels[::-1].copy(), rows.subject_codes + 5)
    assert np.array_equal(content_digests(renamed, KEY), mine)


def test_a_negative_zero_is_the_same_content_and_no_row_is_no_digest():
    x = torch.zeros(2, 12)
    x[1] = -0.0
    digests = content_digests(People(x, [0, 0], [1, 2]), KEY)
    assert np.array_equal(digests[0], digests[1])
    nothing = crowd(2, 2, 0).select(np.zeros(0, int))
    assert content_digests(nothing, KEY).shape == (0, 16)
    assert rows_back(digests, nothing, KEY) == 0
    assert rows_back(digests[:0], crowd(2, 2, 0), KEY) == 0


def test_kept_scores_come_back_from_the_file_with_people_numbered_from_zero(tmp_path):
    path = tmp_path / "earlier" / "batch.npz"
    found = kept()
    assert sorted(set(found.people.tolist())) == list(range(25))
    save_kept(path, found)
    save_kept(path, found)
    back = load_kept(path)
    for name, values in vars(found).items():
        assert np.array_equal(getattr(back, name), values)
    assert [each.name for each in path.parent.iterdir()] == ["batch.npz"]
    assert path.stat().st_mode & 0o077 == 0


def test_a_file_half_written_aside_is_not_what_is_read(tmp_path):
    path = tmp_path / "batch.npz"
    save_kept(path, kept())
    whole = path.read_bytes()
    (tmp_path / ".batch.npz.aside").write_bytes(whole[:100])
    assert len(load_kept(path)) == 175
    save_kept(path, kept(m=10))
    assert len(load_kept(path)) == 70
    for broken in (whole[:100], b"", b"not a zip"):
        path.write_bytes(broken)
        with pytest.raises(EvaluationError, match=r"batch\.npz"):
            load_kept(path)


def test_pickles_are_never_read(tmp_path):
    path = tmp_path / "batch.npz"
    with path.open("wb") as file:
        np.savez(file, **vars(kept()) | {"margin": np.array([{"a": 1}], dtype=object)})
    with pytest.raises(EvaluationError):
        load_kept(path)


def test_kept_scores_give_the_auc_that_the_evaluation_gave():
    rng = np.random.default_rng(1)
    forget, held_out = people(rng, 25, 7, auc=0.7), people(rng, 48, 7)
    data = inputs(forget, held_out)
    hard = np.zeros(len(held_out))
    stays = Kept.of(forget, np.zeros(len(forget)), np.zeros((len(forget), 16), np.uint8))
    expected = evaluate(data, seed=0, resamples=10).metric("hard_row_auc").value
    assert kept_auc(stays, held_out, hard) == expected
    assert math.isnan(kept_auc(stays, held_out, hard + 2))
