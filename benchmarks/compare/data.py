"""Rows of a benchmark's dataset, by the product's own ingest, and the splits of one request."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.compare.sources import write_source
from expunge.dataset import ArrowRows, Store, open_rows, stage_ingest, training_rows
from expunge.evaluation import RequestKind
from expunge.specs import DatasetSpec, ModelSpec, load_dataset_spec, load_model_spec

SPECS = Path(__file__).parent / "specs"
ROLES = "TVRFE"
PLACEMENT = b"a fixed placement key, 32 bytes."
REQUESTS: dict[str, RequestKind] = {
    "random-1": "rows",
    "random-5": "rows",
    "subjects": "subjects",
    "class": "class",
    "speaker": "subjects",
}
"""Kinds of request by name: 1 % and 5 % of the training rows at random, whole people who hold
5 % of them, one class, and (spoken digits) everything that one person recorded."""


@dataclass(frozen=True)
class Splits:
    """What one cell works with; the champion's rows are `forget` and `retain` together."""

    trained: ArrowRows
    forget: ArrowRows
    retain: ArrowRows
    held_out: ArrowRows
    reference: ArrowRows
    fit: ArrowRows
    tune: ArrowRows
    kind: RequestKind


def dataset_spec(dataset: str) -> DatasetSpec:
    """The dataset's spec, as a user would write it."""
    return load_dataset_spec(SPECS / "data" / f"{dataset}.yaml")


def model_spec(dataset: str) -> ModelSpec:
    """The model's spec; its ladder holds every strategy."""
    return load_model_spec(SPECS / "models" / f"{dataset}.yaml")


def ingest(dataset: str, folder: Path) -> None:
    """Write one Arrow file of rows per role under `folder`; nothing to do where all are there.

    Of the six speakers everyone goes to one file: each pair has roles of its own.

    Raises:
        AbsentError: the dataset's files are not on this machine.
    """
    files = {"T": "TE"} if dataset == "spoken" else {role: role for role in (*ROLES, "TE")}
    if all((folder / f"{name}.arrow").exists() for name in files):
        return
    spec = dataset_spec(dataset)
    folder.mkdir(parents=True, exist_ok=True)
    write_source(dataset, folder / "source.parquet")
    stage_ingest(
        spec,
        folder / "source.parquet",
        mode="replace",
        current=None,
        staging=folder / "shards",
        key=PLACEMENT,
        ingest=1,
        suppressed=lambda subjects: set(),
    )
    store = Store(folder / "shards", spec)
    for name, roles in files.items():
        training_rows(store, spec, roles, folder / f"{name}.arrow")


def rows(dataset: str, role: str, folder: Path) -> ArrowRows:
    """The rows of one role, memory-mapped."""
    return open_rows(folder / f"{role}.arrow", dataset_spec(dataset))


def splits(dataset: str, request: str, seed: int, folder: Path) -> Splits:
    """The splits of one request; `seed` draws who or what is forgotten."""
    if request.startswith("speaker"):
        return _speakers(dataset, request, folder)
    by_role = {role: rows(dataset, role, folder) for role in ROLES}
    trained = by_role["T"]
    gone = _drawn(trained, request, seed)
    return Splits(
        trained=trained,
        forget=trained.select(np.flatnonzero(gone)),
        retain=trained.select(np.flatnonzero(~gone)),
        held_out=by_role["E"],
        reference=by_role["R"],
        fit=by_role["F"],
        tune=by_role["V"],
        kind=REQUESTS[request],
    )


def _drawn(trained: ArrowRows, request: str, seed: int) -> npt.NDArray[np.bool_]:
    """Which training rows are forgotten."""
    draw, count = np.random.default_rng([seed, 0xF0]), len(trained)
    gone = np.zeros(count, dtype=bool)
    if request.startswith("random"):
        share = int(request.removeprefix("random-")) / 100
        gone[draw.choice(count, round(share * count), replace=False)] = True
    elif request == "class":
        gone = trained.labels == draw.integers(trained.labels.max() + 1)
    else:
        people, sizes = np.unique(trained.subject_codes, return_counts=True)
        order = draw.permutation(len(people))
        enough = int(np.searchsorted(np.cumsum(sizes[order]), 0.05 * count)) + 1
        gone = np.isin(trained.subject_codes, people[order[:enough]])
    return gone


def speaker_pairs(folder: Path) -> list[str]:
    """Names of all ordered pairs: one person is held out, another is erased.

    A pair and its reverse share retrain, references and G, so that the reverses come after all.
    """
    people = range(len(np.unique(rows("spoken", "T", folder).subject_codes)))
    pairs = [(h, e) for h in people for e in people if h < e]
    return [f"speaker-{h}-{e}" for h, e in (*pairs, *((e, h) for h, e in pairs))]


def _speakers(dataset: str, request: str, folder: Path) -> Splits:
    """Whole people in every role; below 3,000 rows the others' rows serve twice, in two folds.

    What hard rows and G need of a fold is that it holds neither the erased nor the held-out
    person; that the champion saw it does not matter to them.
    """
    everyone = rows(dataset, "T", folder)
    people = np.unique(everyone.subject_codes)
    held_out, erased = (people[int(number)] for number in request.split("-")[1:])
    code = everyone.subject_codes
    others = np.flatnonzero((code != held_out) & (code != erased))
    mixed = np.random.default_rng(0x5A).permutation(others)
    half, tenth = len(mixed) // 2, len(mixed) // 10
    return Splits(
        trained=everyone.select(np.flatnonzero(code != held_out)),
        forget=everyone.select(np.flatnonzero(code == erased)),
        retain=everyone.select(others),
        held_out=everyone.select(np.flatnonzero(code == held_out)),
        reference=everyone.select(np.sort(mixed[:half])),
        fit=everyone.select(np.sort(mixed[half:-tenth])),
        tune=everyone.select(np.sort(mixed[-tenth:])),
        kind="subjects",
    )
