"""A workspace on the servers: made once, with people enough for all rounds, and a limited disk."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq
import yaml

from expunge.dataset import ROLES, Store
from expunge.workspace import Workspace
from tests.line.small import MODEL, RETRAIN, ROWS, make_workspace, person, table
from tests.soak.children import Child, forked
from tests.soak.servers import BUCKET, Servers
from tests.soak.site import Bucket, Folder, Site, Truth

DISK_BYTES = 384 << 20
PATIENCE = 600.0
SPARSE = {"strategy": "top_k", "fraction": 0.05, "repair": {"epochs": 1}}
LEASE_SECONDS = 5.0


@dataclass
class Place:
    """The workspace, the servers that it uses, and the people who may still ask."""

    root: Path
    folder: Path
    servers: Servers
    site: Site
    rows: dict[str, int]
    waiting: dict[str, list[str]]
    accepted: dict[str, str] = field(default_factory=dict)
    filed: list[tuple[str, str]] = field(default_factory=list)
    children: list[Child] = field(default_factory=list)
    runs: int = 0

    @property
    def truth(self) -> Truth:
        """What the checker may know."""
        return Truth(self.rows, self.accepted)

    @property
    def ballast(self) -> Path:
        """The file that fills the disk."""
        return self.root / ".expunge" / "ballast"

    def run(self, *words: str, **more: str) -> Child:
        """Start a command of expunge, `run` unless told otherwise."""
        words = ("expunge", *(words or ("run",)))
        child = forked(self.root, self.output(), *words, **{**self.environment, **more})
        self.children.append(child)
        return child

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to find the site."""
        return {
            **self.servers.environment,
            "TMPDIR": str(self.folder / "tmp"),
            "PREFECT_HOME": str(self.folder / "prefect-client"),
        }

    def output(self) -> Path:
        """A new file for what a process says."""
        self.runs += 1
        return self.folder / "logs" / f"{self.runs:04d}"

    def done(self, *words: str) -> str:
        """Run a command to its end; what it said."""
        child = self.run(*words)
        status = child.wait(PATIENCE)
        assert status == 0, f"{words}: {status}\n{child.said[-3000:]}"
        return child.said

    def take(self, role: str, count: int) -> list[str]:
        """People of a role who have not asked before."""
        return [self.waiting[role].pop() for _ in range(min(count, len(self.waiting[role])))]

    def ladder(self, *rungs: dict[str, object], **more: object) -> None:
        """Let the model's spec have these rungs from now on."""
        path = self.root / "models/small-mlp.yaml"
        path.write_text(yaml.safe_dump({**MODEL, "ladder": [*rungs], **more}))

    def fill_disk(self, left: int) -> None:
        """Leave so many bytes of the disk."""
        free = shutil.disk_usage(self.root).free
        with self.ballast.open("wb") as file, suppress(OSError):
            os.posix_fallocate(file.fileno(), 0, max(1, free - left))

    def free_disk(self) -> None:
        """Give the disk back."""
        self.ballast.unlink(missing_ok=True)


@contextmanager
def made(folder: Path, servers: Servers, people: int) -> Iterator[Place]:
    """A workspace with `people` ingested and a champion, on a small disk where we may mount one."""
    disk = folder / "disk"
    disk.mkdir()
    with _mounted(disk):
        root = disk / "workspace"
        make_workspace(root)
        if "s3" in servers:
            _use(root, servers)
        place = Place(root, folder, servers, _site(root, folder, servers), {}, {})
        place.ladder(RETRAIN)
        source = folder / "people.parquet"
        pq.write_table(table(range(people)), source)
        place.done("ingest", "small", "--from", str(source))
        place.done("train", "small-mlp")
        place.rows |= {person(number): ROWS for number in range(people)}
        place.waiting |= _by_role(root, place.rows)
        yield place


@contextmanager
def _mounted(folder: Path) -> Iterator[None]:
    """A file system of limited size at `folder`; without the right to mount, the one there is."""
    size = f"size={DISK_BYTES}"
    command = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    try:
        yield
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True)


def is_limited(folder: Path) -> bool:
    """Whether the disk there is the small one."""
    return shutil.disk_usage(folder).total <= DISK_BYTES


def _use(root: Path, servers: Servers) -> None:
    """Let the workspace's DVC remote be the bucket, by way of the proxy."""
    endpoint = f"http://127.0.0.1:{servers.proxy.port}"
    for words in (
        ["remote", "modify", "store", "url", f"s3://{BUCKET}/dvc"],
        ["remote", "modify", "store", "endpointurl", endpoint],
    ):
        command = [sys.executable, "-m", "dvc", "--cd", str(root), *words, "-q"]
        subprocess.run(command, check=True)
    who = ["-c", "user.name=soak", "-c", "user.email=soak@localhost"]
    command = ["git", "-C", str(root), *who, "commit", "-qam", "Use the bucket"]
    subprocess.run(command, check=True)


def _site(root: Path, folder: Path, servers: Servers) -> Site:
    (folder / "logs").mkdir()
    (folder / "tmp").mkdir()
    logs = [folder / name for name in ("logs", "prefect")]
    logs += [server.log for server in servers.known.values() if server.name != "S3"]
    private = root / ".expunge"
    embedded = f"sqlite:///{private / 'mlflow.db'}"
    folders = Folder(private / "remote"), Folder(private / "mlartifacts")
    buckets = (Bucket(servers.url("s3"), BUCKET, each) for each in ("dvc/", "mlflow/"))
    remote, artifacts = buckets if "s3" in servers else folders
    return Site(
        root=root,
        dataset="small",
        ledger=servers.database("ledger"),
        mlflow=servers.url("mlflow") if "mlflow" in servers else embedded,
        mlflow_db=servers.database("mlflow") if "mlflow" in servers else embedded,
        remote=remote,
        artifacts=artifacts,
        logs=tuple(logs),
        scratch=folder / "tmp",
    )


def _by_role(root: Path, people: dict[str, int]) -> dict[str, list[str]]:
    workspace = Workspace.open(root)
    spec = workspace.dataset("small")
    placement = Store(root / "data/small", spec).placement(workspace.keys.placement("small"))
    everyone = [*people]
    codes = placement.place(everyone).role
    roles: dict[str, list[str]] = {role: [] for role in ROLES}
    for who, code in zip(everyone, codes, strict=True):
        roles[ROLES[code]].append(who)
    return roles
