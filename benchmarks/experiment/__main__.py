"""`python -m benchmarks.experiment STAGE`: what the stages of dvc.yaml run."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from benchmarks.compare.sources import AbsentError
from benchmarks.experiment.params import Params
from expunge.errors import ExpungeError, TerminalError

if TYPE_CHECKING:
    from torch import nn

    from expunge.dataset import ArrowRows
    from expunge.training import Factory

BUILD = Path("build/experiment")
ROWS, TRAINED, UNLEARNED, RESULTS = (
    BUILD / name for name in ("rows", "trained", "unlearned", "results")
)
app = typer.Typer(no_args_is_help=True, add_completion=False)


@dataclass(frozen=True)
class Request:
    """The rows of the mock request; what the champion saw is `forget` and `retain` together."""

    trained: ArrowRows
    forget: ArrowRows
    retain: ArrowRows
    held_out: ArrowRows
    reference: ArrowRows


@app.command()
def prepare() -> None:
    """Bring the rows in by the product's own ingest: a file of rows for each role."""
    from benchmarks.compare import data

    with failing():
        try:
            data.ingest(Params.read().dataset, ROWS)
        except AbsentError as error:
            raise TerminalError(
                f"The dataset's files are absent: {error}.",
                fix="name their folder, or take another experiment.dataset",
            ) from None


@app.command()
def train() -> None:
    """Train the champion, an exact retrain without the request's rows, and reference models."""
    from torch.nn.functional import cross_entropy

    from benchmarks.compare.data import model_spec
    from expunge.evaluation import train_references
    from expunge.training import derived_seed, fit, save_weights

    with failing():
        params = Params.read()
        spec, factory, request = model_spec(params.dataset), network(params), drawn(params)
        for name, rows in (("champion", request.trained), ("retrain", request.retain)):
            own = derived_seed(params.seed, name)
            model = factory.build(own)
            history = fit(model, rows, spec.recipe, cross_entropy, seed=own, device="cpu")
            save_weights(model, TRAINED / f"{name}.safetensors")
            say(f"{name}: {len(rows):,} rows, {history.seconds:.1f} s")
        peers = train_references(
            factory,
            request.reference,
            spec.recipe,
            models=spec.references.models,
            epochs=spec.references.epochs,
            seed=params.seed,
            device="cpu",
        )
        for number, model in enumerate(peers):
            save_weights(model, TRAINED / f"reference-{number}.safetensors")
        say(f"references: {len(peers)} models on {len(request.reference):,} rows of role R")
        (TRAINED / "retrain.json").write_text(json.dumps({"passes": history.samples}) + "\n")


@app.command()
def unlearn() -> None:
    """Make a network that has forgotten the request, from the champion."""
    from benchmarks.compare.data import model_spec
    from expunge.training import derived_seed, save_weights
    from expunge.unlearning import strategy_of
    from expunge.unlearning import unlearn as forget

    with failing():
        params = Params.read()
        request, rung = drawn(params), params.unlearn.rung
        strategy, repair = strategy_of(rung, model_spec(params.dataset).recipe)
        outcome = forget(
            loaded(params, TRAINED / "champion.safetensors"),
            request.forget,
            request.retain,
            strategy=strategy,
            repair=repair,
            seed=derived_seed(params.seed, "unlearn"),
            factory=network(params),
        )
        save_weights(outcome.model, UNLEARNED / "weights.safetensors")
        (UNLEARNED / "edit.json").write_text(json.dumps(outcome.edit.to_json(), indent=1) + "\n")
        edit = outcome.edit
        say(
            f"{edit.strategy}: {edit.masked:,} of {edit.parameters:,} parameters, "
            f"{edit.seconds['total']:.1f} s"
        )


@app.command()
def evaluate() -> None:
    """Measure what it still knows and what it lost; metrics.json, and tables for the plots."""
    from benchmarks.experiment.results import write_results
    from expunge.unlearning import Edit

    with failing():
        params = Params.read()
        files = (TRAINED / "champion", UNLEARNED / "weights", TRAINED / "retrain")
        peers = sorted(TRAINED.glob("reference-*.safetensors"))
        said = write_results(
            drawn(params),
            [loaded(params, each.with_suffix(".safetensors")) for each in files],
            [loaded(params, each) for each in peers],
            params=params,
            edit=Edit.from_json(json.loads((UNLEARNED / "edit.json").read_text())),
            retrain_passes=json.loads((TRAINED / "retrain.json").read_text())["passes"],
            folder=RESULTS,
        )
        say(said)


def drawn(params: Params) -> Request:
    """The mock request, by the audit's own function; the same in every stage."""
    import numpy as np

    from benchmarks.compare.data import rows
    from expunge.line.mock import draw_mock

    training, wanted = rows(params.dataset, "T", ROWS), params.request
    mock = draw_mock(
        training,
        wanted.kind,
        rows=wanted.rows,
        draw=wanted.draw,
        seed=params.seed,
        ingest_seen=1,
    )
    rest = np.setdiff1d(np.arange(len(training)), mock.forget, assume_unique=True)
    return Request(
        trained=training,
        forget=training.select(mock.forget),
        retain=training.select(rest),
        held_out=rows(params.dataset, "E", ROWS),
        reference=rows(params.dataset, "R", ROWS),
    )


def network(params: Params) -> Factory:
    """The factory of the dataset's model."""
    from benchmarks.compare.data import model_spec
    from expunge.training import load_factory
    from expunge.workspace import reference_folder

    spec = model_spec(params.dataset)
    return load_factory(spec.factory, reference_folder() / "models", dict(spec.args))


def loaded(params: Params, weights: Path) -> nn.Module:
    """The dataset's network with some weights."""
    from expunge.training import load_weights

    model = network(params).build(0).eval()
    load_weights(model, weights)
    return model


@contextmanager
def failing() -> Iterator[None]:
    """Say what is wrong and what to do, without a traceback."""
    try:
        yield
    except ExpungeError as error:
        say(str(error))
        raise typer.Exit(1) from None


def say(words: str) -> None:
    typer.echo(words, err=True)


if __name__ == "__main__":
    sys.exit(app())
