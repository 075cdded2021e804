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

__all__ = [
    "Candidate",
    "ChampionMovedError",
    "DatasetInput",
    "FactoryReference",
    "Registered",
    "Registry",
    "RegistryRefusedError",
    "RegistryUnreachableError",
    "SavedModel",
    "UnknownModelVersionError",
]
