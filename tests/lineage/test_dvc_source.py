"""The pointer from MLflow to a DVC version."""

from __future__ import annotations

from collections.abc import Callable

import mlflow.data
import pytest
from mlflow.data.dataset_source_registry import (
    get_dataset_source_from_json,
    resolve_dataset_source,
)

from expunge.errors import TerminalError
from expunge.lineage import Candidate, Registry
from expunge.lineage.dvc_source import DvcDatasetSource
from tests.lineage.conftest import TRAINING


def test_any_mlflow_client_resolves_the_pointer_by_entry_point() -> None:
    source = DvcDatasetSource("digits", "a" * 32 + ".dir", "c" * 40, 3)
    again = get_dataset_source_from_json(source.to_json(), source._get_source_type())
    assert isinstance(again, DvcDatasetSource)
    assert again.to_dict() == source.to_dict()
    resolved = resolve_dataset_source(source.uri)
    assert (resolved.dataset, resolved.md5, resolved.commit) == (
        source.dataset,
        source.md5,
        source.commit,
    )


def test_a_logged_input_leads_back_to_the_version(
    registry: Registry, candidate: Callable[..., Candidate]
) -> None:
    registered = registry.register(candidate())
    (logged,) = registry.client.get_run(registered.run_id).inputs.dataset_inputs
    source = mlflow.data.get_source(logged.dataset)
    assert logged.dataset.digest == TRAINING.md5
    assert (source.dataset, source.commit, source.ordinal) == ("digits", TRAINING.commit, 1)


def test_a_pointer_hands_out_no_rows() -> None:
    with pytest.raises(TerminalError, match="is a pointer"):
        DvcDatasetSource("digits", "a" * 32 + ".dir", "c" * 40).load()


@pytest.mark.parametrize("uri", ["expunge-dvc://", "expunge-dvc://digits", "expunge-dvc://d@c"])
def test_half_a_pointer_is_refused(uri: str) -> None:
    with pytest.raises(TerminalError, match="does not name a dataset version"):
        DvcDatasetSource._resolve(uri)
