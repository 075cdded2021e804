"""`expunge trace`: what happened to a person, a request, a model or a dataset.

As a tree, as JSON, or as a diagram. Everything comes from the ledger, but for a person's rows in
the current version, which come from the shards.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from expunge.cli.command import command
from expunge.cli.output import print_json
from expunge.cli.session import Session
from expunge.cli.subject import subject_id_on_stdin

if TYPE_CHECKING:
    from expunge.dataset import Holding
    from expunge.lineage import Graph, View
    from expunge.requests import Ledger

app = typer.Typer(no_args_is_help=True, help="Follow a person, request, model or dataset.")


class Way(StrEnum):
    """Which links are followed."""

    UP = "up"
    DOWN = "down"
    BOTH = "both"


class Format(StrEnum):
    """How a trace is written."""

    TREE = "tree"
    MERMAID = "mermaid"
    DOT = "dot"


NameArgument = Annotated[str, typer.Argument(metavar="NAME", show_default=False)]
VersionArgument = Annotated[
    str | None, typer.Argument(metavar="VERSION", help="Default: the newest.", show_default=False)
]
DepthOption = Annotated[int, typer.Option(min=0, max=1_000, help="Links from the start.")]
WayOption = Annotated[
    Way, typer.Option("--direction", help="To what it came from, to what came of it, or both.")
]
MostOption = Annotated[
    int, typer.Option("--most", min=1, max=1_000, help="Records shown of one kind of link.")
]
FormatOption = Annotated[
    Format, typer.Option("--format", help="A tree, or a diagram for Mermaid or Graphviz.")
]


@command(app, reads_json=True)
def request(
    session: Session,
    request_id: Annotated[str, typer.Argument(metavar="REQUEST", show_default=False)],
    *,
    depth: DepthOption = 2,
    most: MostOption = 10,
    layout: FormatOption = Format.TREE,
) -> None:
    """From a request to the dataset versions and models that it changed."""
    from expunge.lineage import request_graph

    view = _view(depth, Way.DOWN, most)
    _print(session, layout, lambda ledger: request_graph(ledger, request_id, view))


@command(app, reads_json=True)
def model(
    session: Session,
    name: NameArgument,
    version: VersionArgument = None,
    *,
    depth: DepthOption = 2,
    direction: WayOption = Way.BOTH,
    most: MostOption = 10,
    layout: FormatOption = Format.TREE,
) -> None:
    """From a model to its versions, their data, and the batches that edited it."""
    from expunge.lineage import model_graph

    view = _view(depth, direction, most)
    _print(session, layout, lambda ledger: model_graph(ledger, name, version, view))


@command(app, reads_json=True)
def dataset(
    session: Session,
    name: NameArgument,
    version: VersionArgument = None,
    *,
    depth: DepthOption = 2,
    direction: WayOption = Way.BOTH,
    most: MostOption = 10,
    layout: FormatOption = Format.TREE,
) -> None:
    """From a dataset to its versions, and the models that were trained on them."""
    from expunge.lineage import dataset_graph

    view = _view(depth, direction, most)
    _print(session, layout, lambda ledger: dataset_graph(ledger, name, version, view))


@command(app, name="run", reads_json=True)
def mlflow_run(
    session: Session,
    run_id: Annotated[str, typer.Argument(metavar="MLFLOW_RUN", show_default=False)],
    *,
    depth: DepthOption = 2,
    direction: WayOption = Way.BOTH,
    most: MostOption = 10,
    layout: FormatOption = Format.TREE,
) -> None:
    """From an MLflow run to the model version that it made."""
    from expunge.lineage import run_graph

    view = _view(depth, direction, most)
    _print(session, layout, lambda ledger: run_graph(ledger, run_id, view))


@command(app, reads_json=True)
def subject(
    session: Session,
    *,
    dataset: Annotated[str, typer.Option("--dataset", metavar="NAME", help="Where to look.")],
    depth: DepthOption = 1,
    most: MostOption = 10,
    layout: FormatOption = Format.TREE,
) -> None:
    """Which versions of data and models held a person, and which still do.

    The id is read from standard input, and the answer does not repeat it.
    """
    from expunge.lineage import subject_graph

    who = subject_id_on_stdin()
    view = _view(depth, Way.DOWN, most)
    held = _held(session, dataset, who)
    _print(session, layout, lambda ledger: subject_graph(ledger, dataset, who, held, view))


def _held(session: Session, dataset: str, who: str) -> Holding | None:
    """A person's rows in the current version, by the index of one shard."""
    from expunge.dataset import Store, look_up

    workspace = session.workspace()
    spec = workspace.dataset(dataset)
    with session.ledger() as ledger:
        if ledger.current_version(dataset) is None:
            return None
    store = Store(workspace.root / "data" / spec.name, spec)
    return look_up(store, workspace.keys.placement(spec.name), [who]).get(who)


def _view(depth: int, direction: Way, most: int) -> View:
    from expunge.lineage import View

    return View(depth, direction.value, most)


def _print(session: Session, layout: Format, trace: Callable[[Ledger], Graph]) -> None:
    from expunge.lineage import as_json, dot, mermaid, render, to_json, to_tree

    with session.ledger() as ledger:
        graph = trace(ledger)
    if session.json:
        print_json({**to_json(to_tree(graph)), **as_json(graph)})
    elif layout is Format.TREE:
        session.out.print(render(to_tree(graph)))
    else:
        sys.stdout.write(mermaid(graph) if layout is Format.MERMAID else dot(graph))
