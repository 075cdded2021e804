"""Columns of text in a table: coded at ingest, the same to every later version and to SPD-GAN."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from expunge.dataset import (
    ROLES,
    ColumnError,
    IngestError,
    Store,
    collect_facts,
    stage_erasure,
    training_rows,
)
from expunge.dataset.categories import Category, as_json, from_json, grown
from expunge.dataset.tally import Manifest
from expunge.evaluation.spdgan.generator import build_generator
from expunge.specs import DatasetSpec
from tests.dataset.world import KEY, digests, ingest, people, publish, rows_of, small_spec, stage

LEVELS = ["north", "south", "far away"]


def table_spec(**features: Any) -> DatasetSpec:
    return small_spec(
        features={"columns": ["height", "place", "weight"], "categories": {"place": LEVELS}}
        | features
    )


def placed(table: pa.Table | None = None, **levels: str) -> pa.Table:
    """`people()` with a place; `levels` gives another one by the row's number (`at7="east"`)."""
    table = table or people()
    values = [LEVELS[at % 3] for at in range(table.num_rows)]
    for at, level in levels.items():
        values[int(at[2:])] = level
    return table.append_column("place", pa.array(values))


def codes(store: Store) -> dict[str, float]:
    return {row["record_id"]: row["place"] for row in rows_of(store)}


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return ingest(tmp_path_factory.mktemp("country"), placed(), table_spec())[0]


def test_levels_are_stored_as_their_places_in_the_list(country: Store) -> None:
    names = people()["record_id"].to_pylist()
    assert codes(country) == {name: float(at % 3) for at, name in enumerate(names)}
    assert country.read(country.numbers[0]).schema.field("place").type == pa.float32()
    assert country.manifest.categories == {"place": Category(tuple(LEVELS), False)}


def test_text_in_every_kind_of_source_gives_the_same_bytes(tmp_path: Path, country: Store) -> None:
    table = placed()
    pacsv.write_csv(table, tmp_path / "x.csv")
    np.savez(
        tmp_path / "x.npz",
        **{name: np.array(table[name].to_pylist()) for name in table.column_names},
    )
    for file in ("x.csv", "x.npz"):
        stage(tmp_path / file, table_spec(), tmp_path / "staged")
        assert digests(tmp_path / "staged") == digests(country.folder)
    coded = table.set_column(5, "place", table["place"].dictionary_encode())
    assert digests(ingest(tmp_path / "coded", coded, table_spec())[0].folder) == digests(
        country.folder
    )


def test_whole_numbers_are_levels_as_they_are_written(tmp_path: Path) -> None:
    table = people().append_column("place", pa.array([10 * (at % 2) for at in range(240)]))
    store, _ = ingest(tmp_path, table, table_spec(categories={"place": ["10", "0"]}))
    assert codes(store)["record-0-0"] == 1.0
    assert codes(store)["record-0-1"] == 0.0


def test_an_unknown_level_is_refused_and_not_quoted(tmp_path: Path) -> None:
    with pytest.raises(IngestError, match="column 'place', row 8: none of its 3 levels") as caught:
        ingest(tmp_path, placed(at7="secret"), table_spec())
    assert "secret" not in str(caught.value)


def test_an_unknown_level_may_have_a_code_of_its_own(tmp_path: Path) -> None:
    spec = table_spec(unknown="own_code")
    store, _ = ingest(tmp_path, placed(at7="secret", at9="other"), spec)
    assert codes(store)["record-1-3"] == codes(store)["record-2-1"] == 3.0
    assert store.manifest.categories["place"].own_code


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (pa.array([None] + ["north"] * 239), "row 1: null"),
        (pa.array([0.5] * 240), "has type double"),
        (pa.array([["north"]] * 240), "has type list"),
    ],
)
def test_what_is_no_level_at_all_is_refused(tmp_path: Path, values: pa.Array, said: str) -> None:
    with pytest.raises(IngestError, match=said):
        ingest(tmp_path, people().append_column("place", values), table_spec())


def appended(tmp_path: Path, country: Store, **features: Any) -> Store:
    more = placed(people(20, first=60), at0=features.pop("level", "north"))
    store = Store(country.folder, table_spec(**features))
    return ingest(tmp_path, more, store.spec, current=store, number=2)[0]


def test_an_append_may_add_levels_at_the_end(tmp_path: Path, country: Store) -> None:
    levels = {"place": [*LEVELS, "east"]}
    store = appended(tmp_path, country, categories=levels, level="east")
    assert codes(store)["record-60-0"] == 3.0
    assert codes(store)["record-0-1"] == codes(country)["record-0-1"] == 1.0
    assert store.manifest.categories["place"].levels == (*LEVELS, "east")


@pytest.mark.parametrize(
    "features",
    [
        {"categories": {"place": LEVELS[::-1]}},
        {"categories": {"place": LEVELS[:2]}},
        {"categories": {"place": ["east", *LEVELS]}},
        {"categories": {}},
        {"categories": {"place": LEVELS, "height": ["1"]}},
    ],
)
def test_an_append_may_not_give_a_code_another_level(
    tmp_path: Path, country: Store, features: Any
) -> None:
    with pytest.raises(ColumnError, match="is coded in another way") as caught:
        appended(tmp_path, country, **features)
    assert "--mode replace" in caught.value.fix


def test_levels_stay_as_they_are_once_a_code_stands_for_unknown_ones(tmp_path: Path) -> None:
    own = table_spec(unknown="own_code")
    store, _ = ingest(tmp_path, placed(at7="secret"), own)
    after = appended(tmp_path / "later", store)
    assert after.manifest.categories["place"].own_code
    with pytest.raises(ColumnError, match="is coded in another way"):
        appended(tmp_path / "more", store, categories={"place": [*LEVELS, "east"]})


def test_another_order_of_levels_never_stops_an_erasure(tmp_path: Path, country: Store) -> None:
    spec = table_spec(categories={"place": LEVELS[::-1]})
    store = Store(country.folder, spec)
    staged = stage_erasure(spec, store, KEY, {"person-3"}, tmp_path / "staged")
    facts = collect_facts(spec, store, staged, KEY, {"person-3"})
    assert (facts.rows_erased, facts.others_rows_lost, facts.stale_manifest) == (4, 0, 0)
    after = publish(tmp_path / "after", spec, store, staged.staging)
    assert after.manifest.categories == country.manifest.categories


def test_replacing_all_rows_may_code_them_anew(tmp_path: Path, country: Store) -> None:
    spec = table_spec(categories={"place": LEVELS[::-1]})
    store = Store(country.folder, spec)
    after, _ = ingest(tmp_path, placed(), spec, current=store, number=2, mode="replace")
    assert codes(after)["record-0-0"] == 2.0


def test_a_manifest_without_categories_is_written_and_read_as_before(shared_store: Store) -> None:
    text = (shared_store.folder / "manifest.json").read_text()
    assert "categories" not in json.loads(text)
    assert Manifest.from_json(text).to_json() == text


levels = st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=5, unique=True)


@given(st.dictionaries(st.text(max_size=5), st.builds(Category, levels.map(tuple), st.booleans())))
def test_categories_come_back_from_json(found: dict[str, Category]) -> None:
    assert from_json(json.loads(json.dumps(as_json(found)))) == found


@given(levels, levels, st.booleans())
def test_whatever_grows_keeps_every_code(
    before: list[str], after: list[str], own_code: bool
) -> None:
    spec = table_spec(categories={"place": after})
    try:
        now = grown({"place": Category(tuple(before), own_code)}, spec)["place"]
    except ColumnError:
        assert after[: len(before)] != before or (own_code and after != before)
        return
    assert now.levels[: len(before)] == tuple(before)
    assert not own_code or (now.own_code and len(now.levels) == len(before))


def test_spd_gan_leaves_codes_as_they_are(tmp_path: Path, country: Store) -> None:
    spec = country.spec
    assert spec.features.categorical_positions == (1,)
    rows = training_rows(country, spec, ROLES, tmp_path / "t.arrow")
    torch.manual_seed(0)
    generator = build_generator(rows, 8, spec.features.categorical_positions)
    generator.epsilon = 0.5
    x, _ = rows.__getitems__(range(len(rows)))
    moved = generator(x)
    assert torch.equal(moved[:, 1], x[:, 1])
    assert set(x[:, 1].tolist()) == {0.0, 1.0, 2.0}
    assert (moved[:, [0, 2]] != x[:, [0, 2]]).all()
