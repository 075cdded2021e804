"""No orphan bytes: every file, object and MLflow record belongs to something that is known.

What the design lets stand until the purge is counted by name, not hidden.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from tests.soak.check_dataset import OBJECTS
from tests.soak.check_models import client_of
from tests.soak.check_requests import Tables, batch_in, open_batches
from tests.soak.findings import Findings
from tests.soak.site import Site, git, tables

OLD = "objects of older dataset versions, for the purge"
SEALED = "sealed rows of finished batches, for the purge"
INVALID = "models made from rows of people erased since, for the purge"
THEIRS = "temporary folders of torch and of killed Prefect workers"
DISCARDED = "half-made MLflow runs, deleted, for `mlflow gc`"
_KNOWN = {"derived", "earlier", "jobs", "keys", "ledger.db", "mlartifacts", "mlflow.db", "prefect"}
_KNOWN |= {"remote", "scratch", "sealed", "staging"}
_LIBRARIES = re.compile(r"torchinductor_|prefect-workspace-|runner_storage$|tmp\w+prefect$")
"""What torch, and a Prefect worker that was killed, keep there: no rows, no weights, no ids."""
_IDS = re.compile(r"(?:^|/)(m-[0-9a-f]{32}|[0-9a-f]{32})/artifacts/")


def check_bytes(ledger: Tables, site: Site, found: Findings) -> None:
    """Look in every place where a killed process may have left something."""
    _check_state(ledger, site, found)
    _check_keys(ledger, site, found)
    _check_objects(ledger, site, found)
    _check_mlflow(ledger, site, found)
    tmp = site.root / ".dvc/tmp"
    for name in _below(tmp / f"expunge-{site.dataset}"):
        found.add("orphan", f".dvc/tmp/{name}")
    for path in (site.root / "data").iterdir():
        if path.name.endswith(".tmp"):
            found.add("orphan", f"data/{path.name}")
    for path in _entries(site.scratch) if site.scratch else ():
        theirs = _LIBRARIES.match(path.name)
        found.expect(theirs, "orphan", f"{path.name} in the folder of temporary files")
        found.allowed[THEIRS] += bool(theirs)
    for lock in (site.root / ".git").rglob("*.lock"):
        found.add("orphan", f".git/{lock.name}")


def _check_state(ledger: Tables, site: Site, found: Findings) -> None:
    """The private folders: what a batch or an ingest left aside, sealed or derived."""
    unfinished = open_batches(ledger)
    for path in _entries(site.private):
        found.expect(path.name in _KNOWN, "orphan", f"{path.name} in the private folder")
    ingests = {
        e["detail"].get("staging")
        for e in ledger["effects"]
        if e["kind"] == "ingest" and e["state"] == "intended"
    }
    for place in ("staging", "jobs"):
        for path in _entries(site.private / place):
            known = path.name in unfinished or path.name in ingests
            found.expect(known, "orphan", f"{place}/{path.name}")
    erased = {v["batch_id"] for v in ledger["dataset_versions"]}
    for path in _entries(site.private / "sealed"):
        if path.suffix == ".sealed" and path.stem in erased:
            found.allowed[SEALED] += 1
        elif path.suffix != ".sealed" or path.stem not in unfinished:
            found.add("orphan", f"sealed/{path.name}")
    newest = max(ledger["dataset_versions"], key=lambda version: version["ordinal"])
    for path in _entries(site.private / "scratch"):
        if path.name != site.dataset:
            found.add("orphan", f"scratch/{path.name}")
    for path in _entries(site.private / "scratch" / site.dataset):
        current = path.name == newest["md5"].removesuffix(".dir")
        found.expect(current, "orphan", f"scratch/{site.dataset}/{path.name}: an older version")
        for file in _entries(path):
            whole = file.suffix == ".arrow" and not file.name.startswith(".")
            found.expect(whole, "orphan", f"scratch/{site.dataset}/{path.name}/{file.name}")
    for path in _entries(site.private / "earlier"):
        for file in _entries(path):
            found.expect(file.stem in erased, "orphan", f"earlier/{path.name}/{file.name}")
    derived = {row["path"]: row["state"] for row in ledger["derived"]}
    for path in _entries(site.private / "derived"):
        state = derived.get(f"derived/{path.name}")
        found.expect(state, "orphan", f"derived/{path.name}")
        found.allowed[INVALID] += state == "invalid"


def _check_keys(ledger: Tables, site: Site, found: Findings) -> None:
    """Data keys of batches that erased nothing are gone; no key is half made."""
    states = {row["id"]: row["state"] for row in ledger["batches"]}
    for path in _entries(site.private / "keys"):
        batch = batch_in(path.name)
        known = path.suffix == ".key" and not path.name.startswith(".")
        over = batch is not None and states.get(batch) in (None, "failed", "postponed")
        found.expect(known and not over, "orphan", f"keys/{path.name}")


def _check_objects(ledger: Tables, site: Site, found: Findings) -> None:
    """DVC's cache and remote: objects that a commit references, and no other file."""
    revisions = git(site.root, "rev-list", "--all", "--", f"data/{site.dataset}.dvc").split()
    pointers = {git(site.root, "show", f"{r}:data/{site.dataset}.dvc") for r in revisions}
    trees = {found for text in pointers for found in re.findall(r"[0-9a-f]{32}\.dir", text)}
    files = {tree: _files(site, tree) for tree in trees}
    wanted = {*trees, *(oid for each in files.values() for oid in each)}
    newest = max(ledger["dataset_versions"], key=lambda version: version["ordinal"])["md5"]
    found.allowed[OLD] += len(wanted - {newest, *files.get(newest, ())})
    paths = {f"{oid[:2]}/{oid[2:]}" for oid in wanted}
    for name in site.cache.names() - paths:
        found.add("orphan", f"DVC's cache: {name}")
    for name in site.remote.names() - {OBJECTS + path for path in paths}:
        found.add("orphan", f"the DVC remote: {name}")
    for path in paths - {name.removeprefix(OBJECTS) for name in site.remote.names()}:
        found.add("dataset", f"the DVC remote lacks {path}")


def _files(site: Site, tree: str) -> set[str]:
    name = f"{tree[:2]}/{tree[2:]}"
    cached = (site.cache.root / name).exists()
    listed = json.loads(site.cache.read(name) if cached else site.remote.read(OBJECTS + name))
    return {entry["md5"] for entry in listed}


def _check_mlflow(ledger: Tables, site: Site, found: Findings) -> None:
    """Runs and logged models are finished, or deleted; every artifact belongs to one."""
    from mlflow.entities import ViewType

    client = client_of(site)
    experiments = [e.experiment_id for e in client.search_experiments(ViewType.ALL)]
    runs = client.search_runs(experiments, run_view_type=ViewType.ALL, max_results=10_000)
    alive = [run for run in runs if run.info.lifecycle_stage == "active"]
    unfinished = open_batches(ledger)
    for run in alive:
        done = run.info.status == "FINISHED"
        found.expect(
            done or run.data.tags.get("expunge.batch_id") in unfinished,
            "orphan",
            f"MLflow run {run.info.run_id} is {run.info.status}",
        )
    effects = [run.data.tags.get("expunge.effect") for run in alive]
    found.once("doubled", effects, "MLflow run of")
    models = tables(site.mlflow_db)["logged_models"]  # the client hides those that are deleted
    sources = {run.info.run_id for run in alive}
    for model in models:
        stale = model["lifecycle_stage"] == "active" and model["source_run_id"] not in sources
        found.expect(not stale, "orphan", f"MLflow model {model['model_id']} has no run")
    found.allowed[DISCARDED] += len(runs) - len(alive)
    known = {run.info.run_id for run in runs} | {model["model_id"] for model in models}
    for name in site.artifacts.names():
        owner = _IDS.search(name)
        found.expect(owner and owner[1] in known, "orphan", f"MLflow's artifacts: {name}")


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _below(folder: Path) -> Iterable[str]:
    return [f"{folder.name}/{path.name}" for path in _entries(folder)]
