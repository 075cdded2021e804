"""What `expunge doctor` looks at: each part that a run needs, and how to mend it.

Nothing is changed, except for probes that are removed again: a small file on the DVC remote and
in MLflow's artifact store, a model in MLflow's registry. An MLflow server keeps an empty
experiment, `expunge-doctor`, for the next time; the state folder keeps a mark of this machine
where models are unlearned on several.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata

from expunge.cli.placement import placement
from expunge.cli.reach import Finding, said
from expunge.cli.reach.ledger import ledger
from expunge.cli.reach.mlflow import mlflow
from expunge.cli.reach.orchestrator import prefect
from expunge.cli.reach.storage import git, remote
from expunge.errors import ExpungeError
from expunge.specs import ModelSpec, load_dataset_spec, load_model_spec
from expunge.workspace import QUIET, Workspace

SIX = ("prefect", "dvc", "pyarrow", "great-expectations", "torch", "mlflow")
TRAPS = {
    "fastapi": "from 0.151 on every Prefect flow breaks",
    "sqlalchemy": "from 2.1 on Prefect never creates cron runs",
}
_INSTALL = "pip install -c requirements.lock -e .   (or `make setup`)"
_GIB = 2**30


@dataclass(frozen=True)
class Check:
    """One finding; `mend` says what to do where it is not `ok`, and is empty otherwise."""

    name: str
    ok: bool
    found: str
    mend: str = ""


def diagnose(workspace: Workspace) -> tuple[Check, ...]:
    """Every check of a workspace, in the order in which they are best mended."""
    checks: dict[str, Callable[[Workspace], Finding]] = {
        "packages": _packages,
        "fastapi": lambda _: _trap("fastapi"),
        "sqlalchemy": lambda _: _trap("sqlalchemy"),
        "settings": _settings,
        "specs": _specs,
        "keys": _keys,
        "ledger": ledger,
        "mlflow": mlflow,
        "dvc remote": remote,
        "git": git,
        "prefect": prefect,
        "gpu": _gpu,
        "placement": placement,
        "telemetry": _telemetry,
        "disk": _disk,
    }
    return tuple(_checked(name, check, workspace) for name, check in checks.items())


def _checked(name: str, check: Callable[[Workspace], Finding], workspace: Workspace) -> Check:
    try:
        found, mend = check(workspace)
    except ExpungeError as error:
        return Check(name, False, error.what, error.fix)
    except Exception as error:  # a check that fails is a finding, whatever it raised
        return Check(name, False, said(error), f"mend what {name} says, then run doctor again")
    return Check(name, not mend, found, mend)


def _packages(workspace: Workspace) -> Finding:
    found = ", ".join(f"{name} {_version(name)}" for name in SIX)
    wrong = [clash for name in SIX if (clash := _clash(name))]
    return ("; ".join(wrong), _INSTALL) if wrong else (found, "")


def _trap(name: str) -> Finding:
    if clash := _clash(name):
        return f"{clash}: {TRAPS[name]}", _INSTALL
    return f"{_version(name)}, below the release that breaks ({TRAPS[name]})", ""


def _clash(name: str) -> str | None:
    """How the installed version of a package breaks what expunge's own metadata asks for."""
    from packaging.requirements import Requirement

    for line in metadata.requires("expunge") or ():
        wanted = Requirement(line)
        if wanted.name.lower() != name or (wanted.marker and not wanted.marker.evaluate()):
            continue
        version = _version(name)
        if version == "absent" or not wanted.specifier.contains(version, prereleases=True):
            return f"{name} {version}, not {wanted.specifier}"
    return None


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "absent"


def _settings(workspace: Workspace) -> Finding:
    file = workspace.root / "expunge.toml"
    given = sorted(name for name in os.environ if name.startswith("EXPUNGE_"))
    source = "expunge.toml" if file.exists() else "defaults"
    return f"{', '.join([source, *given])}; state in {workspace.settings.folders.state}", ""


def _specs(workspace: Workspace) -> Finding:
    wrong, datasets = [], []
    models: list[ModelSpec] = []
    for path in sorted(workspace.root.glob("data/*.yaml")):
        try:
            datasets.append(load_dataset_spec(path).name)
        except ExpungeError as error:
            wrong.append(error.what)
    for path in sorted(workspace.root.glob("models/*.yaml")):
        try:
            models.append(load_model_spec(path))
        except ExpungeError as error:
            wrong.append(error.what)
    wrong += [fault for spec in models for fault in _model_faults(workspace, spec, datasets)]
    if wrong:
        return "; ".join(wrong), "edit the files named"
    return f"{len(datasets)} dataset(s), {len(models)} model(s)", ""


def _model_faults(workspace: Workspace, spec: ModelSpec, datasets: list[str]) -> Iterator[str]:
    where = f"models/{spec.name}.yaml"
    if spec.dataset not in datasets:
        yield f"{where}: field dataset: there is no usable data/{spec.dataset}.yaml"
    file = spec.factory.partition(":")[0]
    if file.endswith(".py") and not (workspace.root / "models" / file).is_file():
        yield f"{where}: field factory: there is no models/{file}"


def _keys(workspace: Workspace) -> Finding:
    folder = workspace.settings.folders.keys
    ingested = sorted(path.stem for path in workspace.root.glob("data/*.dvc"))
    backup = f"restore {folder} from its backup: without it nobody can be found in the data"
    if not folder.is_dir():
        return ("no key folder", backup) if ingested else ("none yet: made at first use", "")
    lost = [name for name in ingested if not (folder / f"placement-{name}.key").is_file()]
    if lost:
        return f"no placement key of {', '.join(lost)}", backup
    files = sorted(folder.glob("*.key"))
    open_ = [path.name for path in files if stat.S_IMODE(path.stat().st_mode) != 0o600]
    if stat.S_IMODE(folder.stat().st_mode) != 0o700 or open_:
        mend = f"chmod 700 {folder}"
        mend += f" && chmod 600 {folder}/*.key" if open_ else ""
        return "others than the owner may read keys", mend
    return f"{len(files)} key(s), readable by the owner only", ""


def _gpu(workspace: Workspace) -> Finding:
    import torch

    wanted = [spec.name for spec in workspace.models() if spec.device == "cuda"]
    driver = _driver()
    if torch.cuda.is_available():
        name = torch.cuda.get_device_name(0)
        return f"{name}, CUDA {torch.version.cuda}, driver {driver or 'unknown'}", ""
    if driver:
        return (
            f"driver {driver}, but torch {torch.__version__} cannot use it",
            "install a CUDA build of torch that the driver supports: make setup TORCH_INDEX=URL",
        )
    if wanted:
        return f"none, but {', '.join(wanted)} asks for cuda", "use device: auto in these specs"
    return "none: the CPU is used", ""


def _driver() -> str | None:
    """Version of the NVIDIA driver; None where there is none."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = done.stdout.strip().splitlines()
    return lines[0] if done.returncode == 0 and lines else None


def _telemetry(workspace: Workspace) -> Finding:
    on = [f"{name}={value}" for name, value in QUIET.items() if os.environ.get(name) != value]
    if on:
        return "not set", f"export {' '.join(on)}"
    return "off in everything that expunge starts", ""


def _disk(workspace: Workspace) -> Finding:
    """Room for a whole new version: staged, in DVC's cache and on a local remote."""
    data = sum(path.stat().st_size for path in workspace.root.glob("data/*/*") if path.is_file())
    needed = max(_GIB, 3 * data)
    for folder in {workspace.root, workspace.settings.folders.state}:
        there = next(path for path in (folder, *folder.parents) if path.exists())
        free = shutil.disk_usage(there).free
        if free < needed:
            return (
                f"{free / _GIB:.1f} GiB free at {there}",
                f"free at least {needed / _GIB:.1f} GiB, or move EXPUNGE_STATE elsewhere",
            )
    return f"{free / _GIB:.1f} GiB free, {needed / _GIB:.1f} needed", ""
