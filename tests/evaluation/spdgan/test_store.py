import json

import pytest
import torch

from expunge.evaluation.spdgan import StoreError, load, save
from expunge.evaluation.spdgan.store import RECORD


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def stored(digits, tmp_path):
    save(digits.fitted, tmp_path / "spdgan")
    return tmp_path / "spdgan"


@pytest.mark.parametrize("case", ["digits", "tabular"])
def test_what_was_saved_comes_back_and_saves_to_equal_bytes(case, request, tmp_path):
    given = request.getfixturevalue(case)
    save(given.fitted, tmp_path / "a")
    back = load(tmp_path / "a")
    save(back, tmp_path / "b")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert back.calibration == given.fitted.calibration
    assert back.settings == given.fitted.settings
    x = torch.from_numpy(given.tune.x[:50])
    assert torch.equal(back.generator(x), given.fitted.generator(x))


def test_a_folder_holds_two_files_and_no_pickle(stored):
    names = sorted(contents(stored))
    assert [name.partition("-")[0] for name in names] == ["generator", RECORD]
    assert json.loads((stored / RECORD).read_text())["fit_rows"] == 600


def test_saving_again_replaces_what_was_there(stored, tabular):
    save(tabular.fitted, stored)
    assert len(contents(stored)) == 2
    assert load(stored).generator.architecture.shape == (30,)


def test_a_stop_before_the_record_is_replaced_leaves_the_old_fit(stored, tabular, monkeypatch):
    before = load(stored)

    def stop(path, record):
        raise KeyboardInterrupt

    monkeypatch.setattr("expunge.evaluation.spdgan.store._write", stop)
    with pytest.raises(KeyboardInterrupt):
        save(tabular.fitted, stored)
    assert load(stored).generator.architecture == before.generator.architecture


def weights(folder):
    return next(folder.glob("*.safetensors"))


def flip(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


def edit(path):
    path.write_text(path.read_text().replace('"seed": 5', '"seed": 6'))


def other_format(path):
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"format": 99}))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda folder: weights(folder).unlink(), "weights that its record names"),
        (lambda folder: flip(weights(folder)), "weights that its record names"),
        (lambda folder: (folder / RECORD).unlink(), "no readable spdgan.json"),
        (lambda folder: (folder / RECORD).write_bytes(b"{"), "no readable spdgan.json"),
        (lambda folder: (folder / RECORD).write_text("[1]"), "is not of format 1"),
        (lambda folder: edit(folder / RECORD), "was changed"),
        (lambda folder: other_format(folder / RECORD), "is not of format 1"),
    ],
)
def test_a_broken_folder_is_an_error_that_says_what_to_do(stored, damage, says):
    damage(stored)
    with pytest.raises(StoreError, match=says) as caught:
        load(stored)
    assert "fits it again" in caught.value.fix


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(StoreError, match="no readable"):
        load(tmp_path / "nothing")
