"""The folder of one stack: where its logs, secrets, ports and data are."""

from __future__ import annotations

import json
import shutil
import socket
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from deploy import passwords
from expunge.errors import TerminalError

CHECKOUT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
PORTS = ("postgres", "s3", "prefect", "mlflow", "worker-cpu", "worker-gpu")
_MARKER = ".expunge-stack"


@dataclass(frozen=True)
class Place:
    """Folders and files below `root`."""

    root: Path

    @classmethod
    def make(cls, root: Path) -> Place:
        """The stack's folder at `root`, with ports chosen and passwords made at first use.

        Raises:
            TerminalError: the folder has content and is no stack's.
        """
        root = root.resolve()
        if root.is_dir() and any(root.iterdir()) and not (root / _MARKER).is_file():
            raise TerminalError(
                f"{root} is not empty, and no stack made it.",
                fix="give an empty or absent folder: python -m deploy.stack --root DIR start",
            )
        place = cls(root)
        for folder in (root, place.logs, place.run, place.home):
            folder.mkdir(parents=True, exist_ok=True)
        (root / _MARKER).touch()
        passwords.ensure(place.secrets)
        if not place._ports.exists():
            place._ports.write_text(json.dumps(_free_ports(), indent=2) + "\n")
        return place

    @property
    def secrets(self) -> Path:
        """Passwords and files that hold them, mode 600."""
        return self.root / "secrets"

    @property
    def logs(self) -> Path:
        """One log a process."""
        return self.root / "logs"

    @property
    def run(self) -> Path:
        """What was started: one record a process."""
        return self.root / "run"

    @property
    def home(self) -> Path:
        """HOME of every process, so that none writes to the user's."""
        return self.root / "home"

    @property
    def workspace(self) -> Path:
        """The workspace that the workers serve."""
        return self.root / "workspace"

    @property
    def git_remote(self) -> Path:
        """A bare repository: the workspace's git remote."""
        return self.root / "workspace.git"

    @property
    def env(self) -> Path:
        """What a shell sources to use the stack, secrets included."""
        return self.root / "env"

    @property
    def passfile(self) -> Path:
        """Passwords of the PostgreSQL roles, as libpq and asyncpg read them."""
        return self.secrets / "pgpass"

    @property
    def _ports(self) -> Path:
        return self.root / "ports.json"

    @cached_property
    def ports(self) -> dict[str, int]:
        """Port of each process, chosen once; edit the file to choose others."""
        try:
            ports: dict[str, int] = json.loads(self._ports.read_text())
        except FileNotFoundError:
            raise TerminalError(f"There is no stack at {self.root}.", fix="make stack") from None
        return ports

    def url(self, name: str) -> str:
        """Address of a process that speaks HTTP."""
        return f"http://{HOST}:{self.ports[name]}"

    def password(self, name: str) -> str:
        """One secret."""
        return passwords.read(self.secrets, name)

    def remove(self) -> None:
        """Delete the folder, if a stack made it."""
        if (self.root / _MARKER).is_file():
            shutil.rmtree(self.root)


def _free_ports() -> dict[str, int]:
    """Distinct ports: all sockets stay bound until the last one is chosen."""
    probes = [socket.socket() for _ in PORTS]
    try:
        for probe in probes:
            probe.bind((HOST, 0))
        return {name: probe.getsockname()[1] for name, probe in zip(PORTS, probes, strict=True)}
    finally:
        for probe in probes:
            probe.close()
