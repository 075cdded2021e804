"""The registry against a real MLflow store: SQLite and a folder of artifacts."""

from __future__ import annotations

import errno
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import mlflow
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from expunge.errors import TerminalError
from expunge.lineage import (
    Candidate,
    ChampionMovedError,
    Registry,
    RegistryUnreachableError,
    SavedModel,
    UnknownModelVersionError,
)
from expunge.lineage.connection import mlflow_errors
from expunge.lineage.packaging import synthetic_example
from expunge.lineage.runs import Run
from tests.lineage.conftest import FORGET, RETAIN, TRAINING, network

MODEL = "digits-cnn"
Make = Callable[..., Candidate]


def folder_of(registry: Registry, version: str) -> Path:
    return Path(urlparse(registry.client.get_model_version_download_uri(MODEL, version)).path)


def test_registering_again_under_the_same_key_makes_nothing(
    registry: Registry, candidate: Make
) -> None:
    first = registry.register(candidate())
    assert registry.register(candidate()) == first
    assert registry.find("train:digits-cnn:1") == first
    assert registry.find("train:digits-cnn:2") is None
    assert len(registry.client.search_model_versions(f"name='{MODEL}'")) == 1


def test_of_two_versions_of_one_effect_the_first_stays(
    registry: Registry, candidate: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a request is sent again, or a process goes on that had lost its lock."""
    create = registry.client.create_model_version

    def twice(*args: Any, **kwargs: Any) -> Any:
        create(*args, **kwargs)
        return create(*args, **kwargs)

    monkeypatch.setattr(registry.client, "create_model_version", twice)
    assert registry.register(candidate()).version == "1"
    (only,) = registry.client.search_model_versions(f"name='{MODEL}'")
    assert str(only.version) == "1"


@pytest.mark.parametrize("step", ["log_facts", "log_files", "finish"])
def test_an_attempt_that_died_is_deleted_and_done_again(
    registry: Registry, candidate: Make, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Run, step, die)
        registry.register(candidate())
    assert registry.find("train:digits-cnn:1") is None
    registered = registry.register(candidate())
    experiment = registry.client.get_experiment_by_name(f"expunge/{MODEL}").experiment_id
    runs = registry.client.search_runs([experiment])
    models = registry.client.search_logged_models([experiment])
    assert [run.info.run_id for run in runs] == [registered.run_id]
    assert [model.source_run_id for model in models] == [registered.run_id]


def test_a_run_holds_params_curves_datasets_parent_table_and_tags(
    registry: Registry, candidate: Make
) -> None:
    first = registry.register(candidate())
    second = registry.register(
        candidate(
            "register:b-20261121-3f9a1c:1",
            kind="unlearned",
            parent="1",
            batch_id="b-20261121-3f9a1c",
            datasets=(RETAIN, FORGET),
            artifacts={"validation": {"success": True}},
            tags={"expunge.strategy": "random_k"},
        )
    )
    run = registry.client.get_run(second.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["lr"] == "0.002"
    assert run.data.params["args.channels"] == "[4]"
    assert run.data.metrics["held_out.accuracy"] == 0.85
    history = registry.client.get_metric_history(second.run_id, "train.loss")
    assert [(point.step, point.value) for point in history] == [(1, 2.3), (2, 1.1), (3, 0.4)]
    assert {name: value for name, value in run.data.tags.items() if "expunge" in name} == {
        "expunge.batch_id": "b-20261121-3f9a1c",
        "expunge.effect": "register:b-20261121-3f9a1c:1",
        "expunge.kind": "unlearned",
        "expunge.parent": "1",
        "expunge.dataset_version": "digits@2",
        "expunge.dataset_md5": RETAIN.md5,
        "expunge.strategy": "random_k",
    }
    (parent,) = run.inputs.model_inputs
    assert registry.client.get_logged_model(parent.model_id).source_run_id == first.run_id
    seen = {each.dataset.digest: each for each in run.inputs.dataset_inputs}
    assert set(seen) == {RETAIN.md5, FORGET.md5}
    tags = {tag.key: tag.value for tag in seen[FORGET.md5].tags}
    assert tags == {"mlflow.data.context": "forget", "expunge.rows.forget": "500"}
    assert registry.table(MODEL, "2") == [{"name": "GEN", "se": 0.004, "value": -0.006}]
    names = {each.path for each in registry.client.list_artifacts(second.run_id)}
    assert names == {"metrics.json", "validation.json"}


def test_one_version_used_twice_is_one_input_with_both_contexts(
    registry: Registry, candidate: Make
) -> None:
    registered = registry.register(candidate(datasets=(TRAINING, FORGET)))
    (only,) = registry.client.get_run(registered.run_id).inputs.dataset_inputs
    tags = {tag.key: tag.value for tag in only.tags}
    assert tags["mlflow.data.context"] == "training+forget"
    assert (tags["expunge.rows.training"], tags["expunge.rows.forget"]) == ("5200", "500")


def test_the_served_program_gives_the_networks_logits_at_any_batch_size(
    registry: Registry, candidate: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = network(3).train()
    version = registry.register(candidate(module=module)).version
    assert module.training, "the caller's module is left as it is"
    registry.promote(MODEL, version, None)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.uri)
    served = mlflow.pytorch.load_model(f"models:/{MODEL}@champion")
    for rows in (1, 2, 7):
        x = torch.randn(rows, 1, 8, 8)
        with torch.inference_mode():
            expected = module.eval()(x)
            torch.testing.assert_close(served(x), expected)


def test_no_pickle_and_no_real_row_is_in_the_artifacts(registry: Registry, candidate: Make) -> None:
    folder = folder_of(registry, registry.register(candidate()).version)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert not [path for path in files if path.suffix in {".pkl", ".pth", ".pt"}]
    example = np.asarray(synthetic_example((1, 8, 8)))
    (archive,) = [path for path in files if path.name == "model.pt2"]
    with zipfile.ZipFile(archive) as members:
        for name in members.namelist():
            assert not members.read(name).startswith(b"\x80\x02"), f"{name} is a pickle"
    assert np.array_equal(example, synthetic_example((1, 8, 8))), "the same rows, always"
    assert (folder / "requirements.txt").read_text().splitlines()[0].startswith("mlflow==")


def test_fetched_weights_rebuild_the_network(
    registry: Registry, candidate: Make, tmp_path: Path
) -> None:
    module = network(5)
    made = candidate(module=module)
    version = registry.register(made).version
    weights = registry.fetch_weights(MODEL, version, tmp_path / "base")
    saved = SavedModel.read(weights.parent)
    assert saved.factory == made.factory
    assert SavedModel.from_json(saved.to_json()) == saved
    again = network(6)
    again.load_state_dict(load_file(weights))
    for one, other in zip(module.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
    assert sorted(path.name for path in weights.parent.iterdir()) == [
        "model.json",
        "weights.safetensors",
    ]


def test_altered_weights_are_refused(registry: Registry, candidate: Make, tmp_path: Path) -> None:
    version = registry.register(candidate()).version
    weights = folder_of(registry, version) / "expunge" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x7f")
    with pytest.raises(TerminalError, match="do not match their digest"):
        registry.fetch_weights(MODEL, version, tmp_path / "base")
    assert not (tmp_path / "base" / "weights.safetensors").exists()


def test_promotion_compares_the_champion_first_and_is_idempotent(
    registry: Registry, candidate: Make
) -> None:
    for number in (1, 2, 3):
        registry.register(candidate(f"train:{number}"))
    assert registry.champion(MODEL) is None
    registry.promote(MODEL, "1", None)
    registry.set_candidate(MODEL, "2")
    with pytest.raises(ChampionMovedError, match="is version 1, not 3") as moved:
        registry.promote(MODEL, "2", "3")
    assert moved.value.found == "1"
    assert pickle.loads(pickle.dumps(moved.value)).found == "1"
    assert registry.champion(MODEL) == "1"
    registry.promote(MODEL, "2", "1")
    registry.promote(MODEL, "2", "1")
    assert registry.champion(MODEL) == "2"
    assert registry.alias(MODEL, "candidate") is None


def test_a_withdrawn_champion_is_not_served_and_can_be_replaced(
    registry: Registry, candidate: Make
) -> None:
    for number in (1, 2):
        registry.register(candidate(f"train:{number}"))
    registry.promote(MODEL, "1", None)
    registry.withdraw(MODEL)
    registry.withdraw(MODEL)
    assert registry.alias(MODEL, "champion") is None
    assert registry.champion(MODEL) == "1", "the next batch still unlearns it"
    registry.promote(MODEL, "2", "1")
    assert registry.champion(MODEL) == registry.alias(MODEL, "champion") == "2"
    assert registry.alias(MODEL, "withdrawn") is None


def test_an_unknown_version_is_a_clear_error(
    registry: Registry, candidate: Make, tmp_path: Path
) -> None:
    registry.register(candidate())
    for version in ("7", "latest"):
        with pytest.raises(UnknownModelVersionError, match=f"no version '{version}'"):
            registry.fetch_weights(MODEL, version, tmp_path)
        with pytest.raises(UnknownModelVersionError):
            registry.promote(MODEL, version, None)
    with pytest.raises(UnknownModelVersionError):
        registry.fetch_weights("no-such-model", "1", tmp_path)


def test_a_network_that_cannot_be_exported_registers_nothing(
    registry: Registry, candidate: Make
) -> None:
    class Branching(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(64, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            flat = self.linear(x.flatten(1))
            return flat if float(x.sum()) > 0 else -flat

    with pytest.raises(TerminalError, match="cannot be exported"):
        registry.register(candidate(module=Branching()))
    assert registry.find("train:digits-cnn:1") is None


def test_a_key_that_search_cannot_quote_is_refused(registry: Registry) -> None:
    with pytest.raises(TerminalError, match="effect key"):
        registry.find("it's")


def test_an_unreachable_server_is_transient_and_shows_no_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    registry = Registry("http://someone:hunter2@127.0.0.1:9", None)
    with pytest.raises(RegistryUnreachableError, match="not reachable") as unreachable:
        registry.champion(MODEL)
    assert "hunter2" not in str(unreachable.value)
    assert "hunter2" not in repr(registry)


def test_a_full_disk_is_said_to_be_one() -> None:
    with (
        pytest.raises(RegistryUnreachableError, match="artifacts is full"),
        mlflow_errors("write artifacts"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_opening_leaves_nothing_in_the_working_folder(
    registry: Registry, candidate: Make, tmp_path: Path
) -> None:
    registry.register(candidate())
    registry.champion(MODEL)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"artifacts", "mlflow.db", "weights.safetensors"}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', '{"format": 1, "model": "x"}'])
def test_a_model_file_of_another_format_is_refused(text: str) -> None:
    with pytest.raises(TerminalError, match=r"model\.json"):
        SavedModel.from_json(text)
