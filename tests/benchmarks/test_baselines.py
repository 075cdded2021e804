"""The baselines of the benchmarks of datasets do what they are said to do."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from benchmarks import erase, ingest
from benchmarks.synthetic import person, person_ids, write_people

COLUMNS = ["record_id", "subject_id", "label", "x"]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("people") / "source"
    write_people(folder, rows=3_000, subjects=300, width=4)
    return folder


def test_the_copy_makes_the_shards_that_an_ingest_makes(source: Path, tmp_path: Path) -> None:
    ingest.copy(source, tmp_path / "copied", 8)
    ingest.ingest(source, tmp_path / "ingested", 8, 4)
    names = {path.name for path in (tmp_path / "copied").iterdir()}
    assert names == {path.name for path in (tmp_path / "ingested").glob("shard-*")}
    for name in names:
        left, right = (
            ds.dataset(tmp_path / side / name).to_table(COLUMNS) for side in ("copied", "ingested")
        )
        assert left.equals(right)


def test_the_rewrite_leaves_everyone_but_the_people_erased(source: Path, tmp_path: Path) -> None:
    file, gone = next(source.iterdir()), [person(7), person(11)]
    erase._without(person_ids([7, 11]), file, tmp_path)
    before, after = pq.read_table(file), pq.read_table(tmp_path / file.name)
    kept = [who not in gone for who in before["subject_id"].to_pylist()]
    assert after.equals(before.filter(pa.array(kept)))
    assert after.num_rows < before.num_rows


def test_the_formula_of_the_design_gives_its_figures() -> None:
    assert erase.formula(1_024, 10) == pytest.approx(0.01, rel=0.03)
    assert erase.formula(1_024, 100) == pytest.approx(0.093, rel=0.01)
