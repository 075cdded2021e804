from __future__ import annotations

import hashlib
import hmac

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expunge.dataset.placement import ROLES, Placement
from expunge.specs import RoleShares

KEY = b"\x07" * 32
names = st.lists(st.text(max_size=30), min_size=1, max_size=20, unique=True)


@given(names)
def test_a_place_is_the_hmac_of_the_subject(subjects: list[str]) -> None:
    places = Placement(KEY, shards=37, shares=RoleShares()).place(subjects)
    for at, subject in enumerate(subjects):
        mac = hmac.new(KEY, subject.encode(), hashlib.sha256).digest()
        assert places.shard[at] == int.from_bytes(mac[:8], "big") % 37
        assert places.digest[at].tobytes() == mac[16:]
        assert places.code[at] == int.from_bytes(mac[16:24], "big", signed=True)


@given(names, st.randoms(use_true_random=False))
def test_a_place_depends_on_the_subject_alone(subjects: list[str], random: object) -> None:
    shuffled = list(subjects)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    placement = Placement(KEY, shards=11, shares=RoleShares())
    together = placement.place(subjects)
    apart = Placement(KEY, shards=11, shares=RoleShares()).place(shuffled)
    for at, subject in enumerate(subjects):
        other = shuffled.index(subject)
        assert together.shard[at] == apart.shard[other]
        assert together.role[at] == apart.role[other]


def test_a_role_does_not_depend_on_the_number_of_shards() -> None:
    subjects = [f"s{number}" for number in range(500)]
    few = Placement(KEY, shards=2, shares=RoleShares()).place(subjects)
    many = Placement(KEY, shards=4096, shares=RoleShares()).place(subjects)
    assert np.array_equal(few.role, many.role)


def test_another_key_places_elsewhere() -> None:
    subjects = [f"s{number}" for number in range(500)]
    one = Placement(KEY, shards=64, shares=RoleShares()).place(subjects)
    other = Placement(b"\x08" * 32, shards=64, shares=RoleShares()).place(subjects)
    assert (one.shard == other.shard).mean() < 0.1


def test_roles_and_shards_have_the_shares_they_should() -> None:
    shares = RoleShares()
    subjects = [f"s{number}" for number in range(20_000)]
    places = Placement(KEY, shards=10, shares=shares).place(subjects)
    for at, role in enumerate(ROLES):
        assert (places.role == at).mean() == pytest.approx(getattr(shares, role), abs=0.012)
    assert np.bincount(places.shard).min() > 1800
