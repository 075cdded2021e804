"""A workspace: a git and DVC repo with `data/` and `models/` specs, made by `expunge init`."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from expunge.errors import TerminalError
from expunge.keys import KeyRing
from expunge.settings import Settings, load_settings
from expunge.specs import (
    DatasetSpec,
    ModelSpec,
    SpecError,
    checked_name,
    load_dataset_spec,
    load_model_spec,
)
from expunge.specs.task import TASKS

QUIET = {  # what switches off telemetry, and pickle
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "RAY_USAGE_STATS_ENABLED": "0",
}
_IGNORED = "/.expunge/"
_SKELETON = (".gitignore", ".dvc/config", ".dvc/.gitignore", ".dvcignore")
IDENTITY = ("expunge", "expunge@localhost")


def quiet_environment() -> None:
    """Switch off telemetry, and pickle, of everything that this process starts or imports."""
    os.environ.update(QUIET)


@dataclass(frozen=True)
class Workspace:
    """Folders, specs, settings and keys of one workspace."""

    root: Path

    @classmethod
    def open(cls, root: Path) -> Workspace:
        """The workspace at `root`; an error where there is none."""
        quiet_environment()
        root = root.resolve()
        if not (root / ".expunge").is_dir() or not (root / ".dvc").is_dir():
            raise TerminalError(
                f"{root} is not an expunge workspace.",
                fix="cd into one, pass --workspace DIR, or make one: expunge init DIR",
            )
        return cls(root)

    @cached_property
    def settings(self) -> Settings:
        """Environment, `expunge.toml`, defaults."""
        return load_settings(self.root)

    @property
    def keys(self) -> KeyRing:
        """The key files."""
        return KeyRing(self.settings.folders.keys)

    def state(self, *parts: str) -> Path:
        """A folder of the private state, made if absent: staging, sealed, scratch, jobs."""
        folder = self.settings.folders.state.joinpath(*parts)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder

    def dataset(self, name: str) -> DatasetSpec:
        """Spec of dataset `name`."""
        return load_dataset_spec(self.root / "data" / f"{checked_name(name, 'dataset')}.yaml")

    def model(self, name: str) -> ModelSpec:
        """Spec of governed model `name`."""
        path = self.root / "models" / f"{checked_name(name, 'model')}.yaml"
        return self._of_one_task(load_model_spec(path))

    def datasets(self) -> tuple[DatasetSpec, ...]:
        """Every dataset spec, by name."""
        return tuple(load_dataset_spec(path) for path in sorted(self.root.glob("data/*.yaml")))

    def models(self, dataset: str | None = None) -> tuple[ModelSpec, ...]:
        """Every governed model's spec, by name; of one dataset where given."""
        specs = (load_model_spec(path) for path in sorted(self.root.glob("models/*.yaml")))
        return tuple(self._of_one_task(spec) for spec in specs if dataset in (None, spec.dataset))

    def _of_one_task(self, spec: ModelSpec) -> ModelSpec:
        """The spec, unless its loss is not for the labels of its dataset."""
        data = self.root / "data" / f"{spec.dataset}.yaml"
        if data.exists() and (task := load_dataset_spec(data).task) != spec.task:
            fitting = ", ".join(loss for loss, its in TASKS.items() if its == task)
            raise SpecError(
                f"models/{spec.name}.yaml: field loss: found {spec.loss!r}, which is for "
                f"{spec.task}, but the labels of data/{spec.dataset}.yaml are for {task}: allowed "
                f"{fitting}.",
                fix=f"edit models/{spec.name}.yaml, or `classes` and `values` of the dataset",
            )
        return spec


def reference_folder() -> Path:
    """Folder that holds the reference `data/` and `models/`: in the wheel, or the checkout."""
    package = Path(__file__).resolve().parent
    packed = package / "_reference"
    return packed if packed.is_dir() else package.parent


def init_workspace(root: Path) -> Workspace:
    """Make a workspace of the reference specs at `root`: git, DVC, a local remote.

    Idempotent: what is already there stays. A folder with other content is refused.
    """
    quiet_environment()
    root = root.resolve()
    begun = (root / ".git").exists() or (root / ".expunge").is_dir()
    if root.exists() and not begun and any(root.iterdir()):
        raise TerminalError(
            f"{root} is neither empty nor a git repository.",
            fix="give an empty or absent folder, or `git init` it first",
        )
    (root / ".expunge").mkdir(parents=True, exist_ok=True, mode=0o700)
    if not (root / ".git").exists():
        _git(root, "init", "--quiet", "-b", "main")
    if not (root / ".dvc").is_dir():
        _init_dvc(root)
    ours = [*_SKELETON, *_copy_reference(root)]
    _ignore_private(root)
    # Only what history lacks: a spec that the user has edited since is the user's to commit.
    new = [path for path in ours if not _is_committed(root, path) and (root / path).exists()]
    if new:
        name, email = IDENTITY
        who = ["-c", f"user.name={name}", "-c", f"user.email={email}", "-c", "commit.gpgsign=false"]
        _git(root, "add", "--", *new)
        message = "Set up the expunge workspace"
        _git(root, *who, "commit", "--quiet", "--no-verify", "-m", message, "--", *new)
    return Workspace.open(root)


def _git(root: Path, *args: str) -> None:
    """Run git with no hook of the user's, who may have templates of them."""
    command = ["git", "-C", str(root), "-c", "core.hooksPath=/dev/null", *args]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise TerminalError(
            f"git could not set up {root}: {said}",
            left="Files made so far are kept; the same command goes on from there.",
            fix="mend what git says, then run `expunge init` again",
        )


def _is_committed(root: Path, path: str) -> bool:
    command = ["git", "-C", str(root), "cat-file", "-e", f"HEAD:{path}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _ignore_private(root: Path) -> None:
    """Keep `.expunge/` out of git: ledger, keys and row data live there."""
    ignore = root / ".gitignore"
    text = ignore.read_text() if ignore.exists() else ""
    if _IGNORED not in text.splitlines():
        joint = "\n" if text and not text.endswith("\n") else ""
        ignore.write_text(f"{text}{joint}{_IGNORED}\n")


def _copy_reference(root: Path) -> list[str]:
    """Copy the reference specs that are absent; the paths of all of them."""
    source, names = reference_folder(), []
    for folder, patterns in {"data": ("*.yaml",), "models": ("*.yaml", "*.py")}.items():
        (root / folder).mkdir(exist_ok=True)
        files = [file for pattern in patterns for file in sorted((source / folder).glob(pattern))]
        for file in files:
            names.append(f"{folder}/{file.name}")
            if not (root / folder / file.name).exists():
                shutil.copyfile(file, root / folder / file.name)
    return names


def _init_dvc(root: Path) -> None:
    from dvc.config_schema import RelPath
    from dvc.repo import Repo

    logging.getLogger("dvc").setLevel(logging.WARNING)  # it explains git to people otherwise
    repo = Repo.init(str(root))
    with repo.config.edit("repo") as config:
        config["cache"] = {"type": "reflink,hardlink,copy"}
        config["core"] = {"analytics": "false", "autostage": "false", "remote": "store"}
        # Relative to .dvc/, so that a workspace can be moved.
        config["remote"] = {"store": {"url": RelPath(root / ".expunge" / "remote")}}
    repo.close()
