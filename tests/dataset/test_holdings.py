from __future__ import annotations

from collections import Counter
from pathlib import Path

from expunge.dataset import Store, look_up
from tests.dataset.world import KEY, ingest, people, rows_of


def test_a_holding_counts_the_subjects_rows(tmp_path: Path, store: Store) -> None:
    more = people(60, 3, seed=4)
    more = more.set_column(0, "record_id", [[f"more-{at}" for at in range(180)]])
    after, _ = ingest(tmp_path, more, current=store, number=2, name="next")
    names = [f"person-{number}" for number in range(0, 60, 3)]
    found = look_up(after, KEY, [*names, "nobody"])
    assert sorted(found) == sorted(names)
    rows = rows_of(after)
    for name, holding in found.items():
        theirs = [row for row in rows if row["subject_id"] == name]
        trained = [row for row in theirs if row["role"] == "T"]
        assert holding.rows == len(theirs) == 7
        assert holding.by_role == Counter(row["role"] for row in theirs)
        assert holding.by_label == Counter(row["label"] for row in theirs)
        assert holding.trained_by_ingest == Counter(row["_ingest"] for row in trained)
        assert holding.by_label_trained == Counter(row["label"] for row in trained)


def test_nobody_holds_nothing(shared_store: Store) -> None:
    assert look_up(shared_store, KEY, []) == {}
    assert look_up(shared_store, KEY, ["nobody", ""]) == {}
