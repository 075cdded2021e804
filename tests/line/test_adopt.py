"""A champion that was trained elsewhere: found in the registry, tried, governed, unlearned."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_model

from expunge.errors import TerminalError
from expunge.line import Line, adopt
from expunge.networks import network
from tests.line.small import RETRAIN, file, people_in, respec, run

THEIRS = "their-classifier"


def registered(
    line: Line, folder: Path, *, digest: str | None = None, files: tuple[str, ...] = ("w",)
) -> torch.nn.Module:
    """Register what the line's own champion is under another name, as another team would have."""
    client = line.registry.client
    module = network(line.workspace, line.workspace.model("small-mlp")).build(0)
    fetched = line.registry.fetch_weights("small-mlp", "1", folder / "own")
    from expunge.training import load_weights

    load_weights(module, fetched)
    experiment = client.create_experiment("their experiment", folder.as_uri())
    run_id = client.create_run(experiment).info.run_id
    for name in files:
        (folder / "their").mkdir(exist_ok=True)
        save_model(module, str(folder / f"their/{name}.safetensors"))
        client.log_artifact(run_id, str(folder / f"their/{name}.safetensors"), "model")
    if digest:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        data = Dataset("small", digest, "local", json.dumps({"uri": "elsewhere"}))
        tag = InputTag("mlflow.data.context", "training")
        client.log_inputs(run_id, datasets=[DatasetInput(data, [tag])])
    client.set_terminated(run_id)
    client.create_registered_model(THEIRS)
    source = f"{client.get_run(run_id).info.artifact_uri}/model"
    made = client.create_model_version(THEIRS, source, run_id)
    client.set_registered_model_alias(THEIRS, "champion", made.version)
    return module


def test_an_adopted_champion_is_governed_and_its_people_are_unlearned(
    line: Line, tmp_path: Path
) -> None:
    registered(line, tmp_path, digest=line.current_version("small").md5)
    adopted = adopt(line, "small-mlp", registered=THEIRS)
    assert (adopted.version, adopted.adopted_from) == ("2", f"{THEIRS} version 1")
    assert line.registry.champion("small-mlp") == "2"
    assert adopted.answers.training > 0.5
    known = line.ledger.champion("small-mlp")
    assert known is not None
    assert (known.kind, known.dataset_ordinal, known.ingest_seen) == ("trained", 1, 1)

    again = adopt(line, "small-mlp", registered=THEIRS)
    assert again.version == "2"
    assert len(line.ledger.model_versions("small-mlp")) == 2

    respec(line, ladder=[RETRAIN])
    file(line, *people_in(line, "T", 5))
    (model,) = run(line).models
    assert (model.decision, model.version_before) == ("retrained", "2")


def test_the_dataset_version_is_declared_where_its_run_names_none(
    line: Line, tmp_path: Path
) -> None:
    registered(line, tmp_path)
    with pytest.raises(TerminalError, match="no version that its run names") as refused:
        adopt(line, "small-mlp", registered=THEIRS)
    assert "--dataset-version" in refused.value.fix
    with pytest.raises(TerminalError, match="no version 7"):
        adopt(line, "small-mlp", registered=THEIRS, dataset_version=7)
    assert line.registry.champion("small-mlp") == "1"
    adopted = adopt(line, "small-mlp", registered=THEIRS, dataset_version=1)
    assert adopted.dataset_version == line.current_version("small").md5


@pytest.mark.usefixtures("quick")
def test_a_model_of_people_who_were_erased_since_is_refused(line: Line, tmp_path: Path) -> None:
    registered(line, tmp_path)
    file(line, *people_in(line, "T", 2))
    run(line)
    with pytest.raises(TerminalError, match="erased"):
        adopt(line, "small-mlp", registered=THEIRS, dataset_version=1)


def test_weights_that_cannot_be_read_safely_or_are_no_model_of_the_rows_are_refused(
    line: Line, tmp_path: Path
) -> None:
    registered(line, tmp_path, files=("a", "b"))
    with pytest.raises(TerminalError, match="2 files of weights"):
        adopt(line, "small-mlp", registered=THEIRS, dataset_version=1)
    adopt(line, "small-mlp", registered=THEIRS, dataset_version=1, weights="a.safetensors")
    with pytest.raises(TerminalError, match="no version with alias"):
        adopt(line, "small-mlp", registered="unheard-of", dataset_version=1)

    client = line.registry.client
    folder = Path(client.get_model_version(THEIRS, "1").source.removeprefix("file://"))
    (folder / "a.safetensors").unlink()
    (folder / "b.safetensors").rename(folder / "model.pth")
    with pytest.raises(TerminalError, match=r"its 1 pickle\(s\) are never loaded"):
        adopt(line, "small-mlp", registered=THEIRS, dataset_version=1)

    (folder / "model.pth").unlink()
    module = network(line.workspace, line.workspace.model("small-mlp")).build(0)
    with torch.no_grad():
        for weights in module.parameters():
            weights.zero_()
    save_model(module, str(folder / "zero.safetensors"))
    with pytest.raises(TerminalError, match="the most frequent class alone"):
        adopt(line, "small-mlp", registered=THEIRS, dataset_version=1)
    save_model(torch.nn.Linear(3, 2), str(folder / "zero.safetensors"))
    with pytest.raises(TerminalError, match="are not this network's"):
        adopt(line, "small-mlp", registered=THEIRS, dataset_version=1)
    assert line.registry.champion("small-mlp") == "2"
