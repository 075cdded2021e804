import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from expunge.specs import (
    DatasetSpec,
    ExactRetrainRung,
    ModelSpec,
    SpecError,
    checked_name,
    load_dataset_spec,
    load_model_spec,
)
from expunge.specs.rungs import RandomKRung, TopKRung

DATASET = {
    "name": "digits",
    "classes": 10,
    "features": {"column": "pixels", "shape": [1, 16, 16]},
}
MODEL = {
    "name": "digits_cnn",
    "dataset": "digits",
    "factory": "small_cnn.py:build",
    "recipe": {"epochs": 25},
    "ladder": [
        {"strategy": "top_k", "fraction": 0.05, "noise": "additive", "repair": {"epochs": 2}},
        {"strategy": "random_k", "fraction": 0.8},
        {"strategy": "exact_retrain"},
    ],
}


RETRAIN = {"strategy": "exact_retrain"}
SHORT = {"recipe": {"epochs": 2}}
DECAYING = {"epochs": 2, "weight_decay": 0.01}


def dataset_file(tmp_path, change=None, name="digits", **more):
    return written(tmp_path / "data" / f"{name}.yaml", {**DATASET, **(change or {}), **more})


def model_file(tmp_path, **change):
    return written(tmp_path / "models" / "digits_cnn.yaml", {**MODEL, **change})


def written(path, content):
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(content))
    return path


def test_a_dataset_spec_says_what_a_model_reads(tmp_path):
    spec = load_dataset_spec(dataset_file(tmp_path))
    assert spec.features.input_shape == (1, 16, 16)
    assert spec.features.width == 256
    assert spec.features.names == ("pixels",)
    assert (spec.record_id, spec.subject_id, spec.label, spec.shards) == (
        "record_id", "subject_id", "label", 64,
    )  # fmt: skip


def test_numeric_columns_make_a_flat_input(tmp_path):
    spec = load_dataset_spec(dataset_file(tmp_path, features={"columns": ["a", "b", "c"]}))
    assert spec.features.input_shape == (3,)
    assert spec.features.names == ("a", "b", "c")


def test_each_rung_of_the_ladder_becomes_its_own_kind(tmp_path):
    spec = load_model_spec(model_file(tmp_path))
    assert [type(rung) for rung in spec.ladder] == [TopKRung, RandomKRung, ExactRetrainRung]
    assert spec.ladder[0].repair.epochs == 2


def test_a_fast_retrain_may_stand_on_any_rung_before_the_last(tmp_path):
    fast = {"strategy": "fast_retrain", **SHORT}
    tuned = {"strategy": "fine_tune", "repair": {"epochs": 1}}
    for ladder in ([fast, RETRAIN], [fast, tuned, fast, RETRAIN], [tuned, fast, RETRAIN]):
        spec = load_model_spec(model_file(tmp_path, ladder=ladder))
        assert [rung.strategy for rung in spec.ladder] == [rung["strategy"] for rung in ladder]
        assert [rung.exact for rung in spec.ladder] == [
            rung["strategy"].endswith("retrain") for rung in ladder
        ]


def test_a_spec_can_be_written_out_and_read_again():
    for kind, content in ((DatasetSpec, DATASET), (ModelSpec, MODEL)):
        spec = kind.model_validate(content)
        assert kind.model_validate(
            yaml.safe_load(yaml.safe_dump(spec.model_dump(mode="json")))
        ) == (spec)


@pytest.mark.parametrize(
    ("change", "field", "found"),
    [
        ({"classes": 1}, "classes", "found 1, allowed: .*greater than or equal to 2"),
        ({"classes": "ten"}, "classes", "found 'ten', allowed: .*integer"),
        ({"shards": 5000}, "shards", "found 5000, allowed: .*less than or equal to 4096"),
        ({"clases": 10}, "clases", "found 10, allowed: .*not permitted"),
        ({"features": {}}, "features", "either `columns` or `column`"),
        ({"features": {"column": "x"}}, "features", "needs `shape`"),
        ({"features": {"columns": ["a", "a"]}}, "features", "names a column twice"),
        ({"features": {"columns": ["a"], "shape": [1]}}, "features", "takes no `shape`"),
        ({"features": {"columns": ["label"]}}, "whole file", "need own columns"),
        ({"features": {"columns": ["_ingest"]}}, "features.columns.0", "match pattern"),
        ({"features": {"columns": ["role"]}}, "whole file", "reserved"),
        ({"roles": {"T": 0.9}}, "roles", "sum to 1.25, not 1"),
        ({"reappearance": "maybe"}, "reappearance", "'block' or 'allow_after_erasure'"),
    ],
)
def test_a_dataset_spec_error_names_file_field_found_and_allowed(tmp_path, change, field, found):
    path = dataset_file(tmp_path, change)
    with pytest.raises(SpecError, match=found) as caught:
        load_dataset_spec(path)
    assert "data/digits.yaml" in caught.value.what
    assert field in caught.value.what
    assert caught.value.fix == "edit data/digits.yaml"


@pytest.mark.parametrize(
    ("change", "field", "found"),
    [
        ({"recipe": {}}, "recipe.epochs", "found nothing"),
        ({"recipe": {"epochs": 2, "lr": float("nan")}}, "recipe.lr", "found nan"),
        ({"ladder": []}, "ladder", "at least 1"),
        ({"ladder": [{"strategy": "magic"}]}, "ladder.0", "'top_k'"),
        ({"ladder": MODEL["ladder"][:2]}, "whole file", "ends with exact_retrain"),
        ({"ladder": MODEL["ladder"][::-1]}, "whole file", "ends with exact_retrain"),
        ({"ladder": [RETRAIN, {"strategy": "fast_retrain", **SHORT}]}, "file", "ends with exact"),
        ({"ladder": [{"strategy": "fast_retrain"}, RETRAIN]}, "fast_retrain.recipe", "nothing"),
        ({"ladder": [{"strategy": "ssd", "alpha": 0}, RETRAIN]}, "ssd.alpha", "found 0, .*than 0"),
        ({"ladder": [{"strategy": "ssd", "repair": {}}, RETRAIN]}, "ssd.repair", "not permitted"),
        (
            {"ladder": [{"strategy": "neggrad_plus", "alpha": 1.1, **SHORT}, RETRAIN]},
            "neggrad_plus.alpha",
            "found 1.1, .*less than or equal to 1",
        ),
        (
            {"ladder": [{"strategy": "gradient_ascent", "clip": 0, **SHORT}, RETRAIN]},
            "gradient_ascent.clip",
            "found 0, .*greater than 0",
        ),
        (
            {"ladder": [{"strategy": "salun", "recipe": DECAYING}, RETRAIN]},
            "ladder.0.salun",
            "without weight_decay",
        ),
        ({"factory": "../evil.py:build"}, "factory", "package.module:callable"),
        ({"factory": "/etc/evil.py:build"}, "factory", "package.module:callable"),
        ({"factory": "os.system"}, "factory", "package.module:callable"),
        ({"dataset": "../digits"}, "dataset", "match pattern"),
        ({"while_held": "panic"}, "while_held", "'serve' or 'withdraw'"),
    ],
)
def test_a_model_spec_error_names_file_field_found_and_allowed(tmp_path, change, field, found):
    path = model_file(tmp_path, **change)
    with pytest.raises(SpecError, match=found) as caught:
        load_model_spec(path)
    assert "models/digits_cnn.yaml" in caught.value.what
    assert field in caught.value.what


def test_all_errors_of_a_spec_are_told_at_once(tmp_path):
    path = dataset_file(tmp_path, classes=1, shards=0)
    with pytest.raises(SpecError, match=r"2 field\(s\)"):
        load_dataset_spec(path)


def test_a_name_must_be_that_of_the_file(tmp_path):
    with pytest.raises(SpecError, match="found 'digits', allowed 'other'"):
        load_dataset_spec(dataset_file(tmp_path, name="other", change={"name": "digits"}))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a: [", "not YAML"),
        (b"\xff\xfe\x00", "not YAML in UTF-8"),
        (b"- a\n", "not a mapping"),
        (b"", "not a mapping"),
    ],
)
def test_a_file_that_is_no_spec_at_all_is_a_clear_error(tmp_path, content, said):
    path = tmp_path / "data" / "digits.yaml"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(SpecError, match=said):
        load_dataset_spec(path)


def test_an_absent_spec_is_a_clear_error(tmp_path):
    with pytest.raises(SpecError, match=r"no spec models/x\.yaml"):
        load_model_spec(tmp_path / "models" / "x.yaml")


@given(st.text(max_size=80))
def test_a_name_that_passes_is_one_plain_path_part(name):
    try:
        checked = checked_name(name, "dataset")
    except SpecError:
        return
    assert checked == name
    assert not set(name) - set("abcdefghijklmnopqrstuvwxyz0123456789_-")
    assert 0 < len(name) <= 63


@pytest.mark.parametrize("name", ["digits", "a", "fashion-mnist_2", "9x"])
def test_ordinary_names_pass(name):
    assert checked_name(name, "model") == name


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\\b", "A", "a.b", "-a", "a\n", "a" * 64, "é"])
def test_names_that_could_leave_their_folder_do_not(name):
    with pytest.raises(SpecError, match="no path separators"):
        checked_name(name, "dataset")


def test_a_ladder_may_be_ordered_by_audits_and_edits_have_a_budget(tmp_path):
    spec = load_model_spec(model_file(tmp_path))
    assert (spec.ladder_order, spec.budget.limited, spec.gate.qualification_days) == (
        "spec", False, 30,
    )  # fmt: skip
    spec = load_model_spec(model_file(tmp_path, ladder_order="audit", budget={"edits": 0}))
    assert (spec.ladder_order, spec.budget.limited, spec.budget.edits) == ("audit", True, 0)
    for budget in ({"edits": -1}, {"held_out_loss": 0}, {"hard_row_auc": float("inf")}):
        with pytest.raises(SpecError, match="field budget"):
            load_model_spec(model_file(tmp_path, budget=budget))
