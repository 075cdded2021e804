"""The unlearning worker: `python -m expunge.worker JOB_FOLDER`.

Reads `job.json`, writes `weights.safetensors` and then, atomically, `result.json`. A training
that diverges is a result; anything else that goes wrong ends with a status and no result, the
status of a temporary failure where the same job may succeed later.

It stands outside the line so that starting it imports torch and the rows, and nothing else.
"""

from __future__ import annotations

import atexit
import gc
import hashlib
import json
import os
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expunge.errors import ExpungeError, TransientError
from expunge.workspace import Workspace

if TYPE_CHECKING:
    from expunge.dataset import ArrowRows
    from expunge.specs import DatasetSpec
    from expunge.training import Epoch


JOB, RESULT, WEIGHTS = "job.json", "result.json", "weights.safetensors"


@dataclass(frozen=True)
class Job:
    """What a worker needs: paths, names, numbers; no row and no subject.

    An audit's job has `mock`, a file of the positions of the rows to forget among `retain`'s, in
    place of sealed batches; with `reference` the worker trains from scratch by the champion's
    recipe, whatever the rung.
    """

    workspace: str
    model: str
    rung: int
    base_weights: str
    forget: tuple[str, ...]
    ingest_seen: int
    retain: str
    seed: int
    mock: str | None = None
    reference: bool = False


def main(folder: Path) -> None:
    """Do the job in `folder`."""
    threading.Thread(target=_die_with_parent, daemon=True).start()
    atexit.register(gc.freeze)  # no search for garbage at exit: the line waits for it
    from expunge.dataset.disk import writing

    job = Job(**json.loads((folder / JOB).read_text()))
    with writing(folder):
        result = work(job, folder)
        aside = folder / f"{RESULT}.part"
        aside.write_text(json.dumps(result))
        aside.replace(folder / RESULT)


def work(job: Job, folder: Path) -> dict[str, Any]:
    """Unlearn as the job says; the JSON of the manifest."""
    from expunge.networks import device_of, loss_of, network
    from expunge.specs import ExactRetrainRung
    from expunge.training import DivergedError, load_weights, save_weights
    from expunge.unlearning import strategy_of, unlearn

    workspace = Workspace.open(Path(job.workspace))
    spec = workspace.model(job.model)
    factory = network(workspace, spec)
    champion = factory.build(spec.recipe.seed)
    load_weights(champion, Path(job.base_weights))
    forget, retain = _splits(job, workspace, workspace.dataset(spec.dataset))
    reference = ExactRetrainRung(strategy="exact_retrain")
    rung = reference if job.reference else spec.ladder[job.rung]
    strategy, repair = strategy_of(rung, spec.recipe)
    started = time.monotonic()
    try:
        outcome = unlearn(
            champion,
            forget,
            retain,
            strategy=strategy,
            repair=repair,
            loss=loss_of(spec),
            seed=job.seed,
            device=device_of(spec),
            factory=factory,
            on_epoch=_report,
        )
    except DivergedError as error:
        return {"diverged": error.what, "forget_rows": len(forget), "retain_rows": len(retain)}
    save_weights(outcome.model, folder / WEIGHTS)
    return {
        "diverged": None,
        "forget_rows": len(forget),
        "retain_rows": len(retain),
        "work_seconds": round(time.monotonic() - started, 3),
        "weights_sha256": hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest(),
        "edit": outcome.edit.to_json(),
    }


def _splits(job: Job, workspace: Workspace, dataset: DatasetSpec) -> tuple[ArrowRows, ArrowRows]:
    """Rows to forget and rows to retain: sealed ones and all others, or a mock's and the rest."""
    import numpy as np

    from expunge.dataset import Where, forget_rows, open_rows

    retain = open_rows(Path(job.retain), dataset)
    if job.mock is not None:
        positions = np.load(job.mock, allow_pickle=False)
        rest = np.setdiff1d(np.arange(len(retain)), positions, assume_unique=True)
        return retain.select(positions), retain.select(rest)
    sealed = {batch: workspace.state("sealed") / f"{batch}.sealed" for batch in job.forget}
    seen = Where(max_ingest=job.ingest_seen)
    return forget_rows(dataset, workspace.keys, sealed, where=seen), retain


def _report(epoch: Epoch) -> None:
    sys.stdout.write(f"@{epoch.number}\t{epoch.of}\tloss {epoch.loss:.3f}\n")
    sys.stdout.flush()


def _die_with_parent() -> None:
    """Stop when the station that started us is gone: our standard input is its pipe."""
    sys.stdin.read()
    os._exit(75)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except TransientError as error:
        sys.stderr.write(f"{error.what}\n")
        sys.exit(os.EX_TEMPFAIL)
    except ExpungeError as error:
        sys.exit(error.what)
