"""What somebody who may write to the registry can make expunge do: refuse, and nothing else."""

from __future__ import annotations

import hashlib
import json
import pickle
import sys
from pathlib import Path

import pytest

from expunge.errors import TerminalError
from expunge.line import Line, adopt
from tests.line.small import RETRAIN, file, people_in, respec, run

MLMODEL = """\
flavors:
  pytorch: {model_data: data, pytorch_version: 2.13.0, code: code}
  python_function: {loader_module: hostile_code, python_model: model.pkl, code: code, env: {}}
model_uuid: 00000000000000000000000000000000
"""


class Bomb:
    """Unpickled, it writes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = str(marker)

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path(self.marker),)  # type: ignore[return-value]


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """What exists once anything hostile ran."""
    return tmp_path / "it-ran"


def _plant(folder: Path, marker: Path) -> None:
    """Fill a version's artifacts with everything that runs when it is loaded the usual way."""
    bomb = pickle.dumps(Bomb(marker))
    for name in ("model.pkl", "data/model.pth", "expunge/weights.safetensors"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(bomb)
    (folder / "MLmodel").write_text(MLMODEL)
    (folder / "data/pickle_module_info.txt").write_text("hostile_code")
    (folder / "code").mkdir()
    for name in ("hostile_code", "safetensors", "torch"):
        (folder / f"code/{name}.py").write_text(f"open({str(marker)!r}, 'w')")


def _artifacts(line: Line, model: str, version: str) -> Path:
    return Path(line.registry._location(model, version).removeprefix("file://"))


def test_the_planted_model_would_run_in_a_client_that_trusts_it(
    tmp_path: Path, marker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow.pytorch

    _plant(tmp_path / "model", marker)
    monkeypatch.setattr(sys, "path", [*sys.path])
    with pytest.raises(Exception, match=r"\w"):
        mlflow.pytorch.load_model(str(tmp_path / "model"))
    assert marker.exists(), "otherwise the tests below prove nothing"
    sys.modules.pop("hostile_code", None)


def test_a_champion_swapped_for_a_hostile_one_stops_the_batch_and_runs_nothing(
    line: Line, marker: Path
) -> None:
    folder = _artifacts(line, "small-mlp", "1")
    saved = json.loads((folder / "expunge/model.json").read_text())
    _plant(folder, marker)
    weights = (folder / "expunge/weights.safetensors").read_bytes()
    saved["weights_sha256"] = hashlib.sha256(weights).hexdigest()
    saved["factory"] = {"reference": "pathlib:Path.touch", "args": {}, "source_digest": ""}
    (folder / "expunge/model.json").write_text(json.dumps(saved))
    respec(
        line, ladder=[{"strategy": "random_k", "fraction": 0.5, "repair": {"epochs": 1}}, RETRAIN]
    )
    file(line, *people_in(line, "T", 2))
    with pytest.raises(TerminalError, match="not a sound safetensors file"):
        run(line)
    assert not marker.exists()
    assert line.registry.champion("small-mlp") == "1"


def test_a_hostile_version_cannot_be_adopted(line: Line, tmp_path: Path, marker: Path) -> None:
    _plant(tmp_path / "theirs", marker)
    client = line.registry.client
    experiment = client.create_experiment("theirs", (tmp_path / "store").as_uri())
    run_id = client.create_run(experiment).info.run_id
    client.log_artifacts(run_id, str(tmp_path / "theirs"), "model")
    client.create_registered_model("theirs")
    client.create_model_version("theirs", f"{client.get_run(run_id).info.artifact_uri}/model")
    with pytest.raises(TerminalError, match="not a sound safetensors file"):
        adopt(line, "small-mlp", registered="theirs", version="1", dataset_version=1)
    assert not marker.exists()
