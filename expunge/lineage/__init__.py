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
from expunge.lineage.diagram import dot, mermaid
from expunge.lineage.explore import Direction, View
from expunge.lineage.graph import Edge, Graph, Node, as_json, to_tree
from expunge.lineage.registry import Registry
from expunge.lineage.subject import SUBJECT_VIEW, subject_graph
from expunge.lineage.trace import (
    NothingToTraceError,
    dataset_graph,
    model_graph,
    request_graph,
    run_graph,
    trace_dataset,
    trace_model,
    trace_request,
)
from expunge.lineage.tree import Tree, render, to_json

__all__ = [
    "SUBJECT_VIEW",
    "Candidate",
    "ChampionMovedError",
    "DatasetInput",
    "Direction",
    "Edge",
    "FactoryReference",
    "Graph",
    "Node",
    "NothingToTraceError",
    "Registered",
    "Registry",
    "RegistryRefusedError",
    "RegistryUnreachableError",
    "SavedModel",
    "Tree",
    "UnknownModelVersionError",
    "View",
    "as_json",
    "dataset_graph",
    "dot",
    "mermaid",
    "model_graph",
    "render",
    "request_graph",
    "run_graph",
    "subject_graph",
    "to_json",
    "to_tree",
    "trace_dataset",
    "trace_model",
    "trace_request",
]
