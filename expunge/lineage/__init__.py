"""Lineage: MLflow logging and registry, plots of a candidate, trace queries over the ledger."""

from __future__ import annotations

from expunge.lineage.candidate import (
    Candidate,
    DatasetInput,
    FactoryReference,
    Registered,
    SavedModel,
)
from expunge.lineage.connection import (
    ChampionMovedError,
    RegistryRefusedError,
    RegistryUnreachableError,
    UnknownModelVersionError,
)
from expunge.lineage.registry import Registry
from expunge.lineage.trace import (
    NothingToTraceError,
    trace_dataset,
    trace_model,
    trace_request,
)
from expunge.lineage.tree import Tree, render, to_json

__all__ = [
    "Candidate",
    "ChampionMovedError",
    "DatasetInput",
    "FactoryReference",
    "NothingToTraceError",
    "Registered",
    "Registry",
    "RegistryRefusedError",
    "RegistryUnreachableError",
    "SavedModel",
    "Tree",
    "UnknownModelVersionError",
    "render",
    "to_json",
    "trace_dataset",
    "trace_model",
    "trace_request",
]
