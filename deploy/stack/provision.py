"""What has to be in the servers before work can start; every step may be done again.

Roles and databases, the ledger's tables and grants, buckets, MLflow's user, Prefect's pools and
deployments, and a workspace that uses them all.
"""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from deploy.mlflow_user import make_user
from deploy.stack.place import CHECKOUT, HOST, Place
from deploy.stack.postgres import binary, clean
from deploy.stack.topology import (
    BUCKETS,
    MLFLOW_ADMIN,
    MLFLOW_USER,
    base,
    client,
    database,
    s3,
)
from expunge.errors import TerminalError

POOLS = ("cpu", "gpu")
_SQL = CHECKOUT / "deploy" / "postgres"


def databases(place: Place) -> None:
    """Roles and their databases."""
    psql(place, "postgres", "postgres", _SQL / "roles.sql")


def ledger(place: Place) -> None:
    """The ledger's tables, by their owner, and what everybody else may do in them."""
    _migrate(place)
    psql(place, "expunge_owner", "expunge", _SQL / "ledger-grants.sql")


def servers(place: Place) -> None:
    """What the S3, MLflow and Prefect servers need, side by side."""
    with ThreadPoolExecutor() as pool:
        done = [pool.submit(step, place) for step in (buckets, mlflow_user, prefect_deployments)]
        for each in done:
            each.result()


def psql(place: Place, role: str, name: str, script: Path) -> None:
    """Run a script as a role; its passwords come from files."""
    command = [binary("psql"), "--no-psqlrc", "--quiet", "-h", HOST]
    command += ["-p", str(place.ports["postgres"]), "-U", role, "-d", name, "-f", str(script)]
    passwords = {"PGPASSFILE": str(place.passfile), "SECRETS": str(place.secrets)}
    _run(command, {**clean(), **passwords})


def _migrate(place: Place) -> None:
    """Bring the ledger to its newest schema, as its owner."""
    from expunge.keys import KeyRing
    from expunge.requests import Ledger

    url = f"{database(place, 'expunge_owner', 'expunge')}?passfile={place.passfile}"
    Ledger.open(url, KeyRing(place.workspace / ".expunge" / "keys")).close()


def buckets(place: Place) -> None:
    """One for DVC, one for MLflow."""
    code = (
        "import boto3, sys\n"
        "s3 = boto3.client('s3')\n"
        "there = {b['Name'] for b in s3.list_buckets()['Buckets']}\n"
        "[s3.create_bucket(Bucket=name) for name in sys.argv[1:] if name not in there]\n"
    )
    _run([sys.executable, "-c", code, *BUCKETS], {**base(place), **s3(place)})


def mlflow_user(place: Place) -> None:
    """The user as which expunge works: no administrator, it may do as it likes with its own."""
    files = (place.secrets / "mlflow-admin", place.secrets / "mlflow-expunge")
    admin, password = (file.read_text() for file in files)
    try:
        make_user(place.url("mlflow"), MLFLOW_ADMIN, admin, MLFLOW_USER, password)
    except OSError as error:
        raise TerminalError(
            str(error), fix=f"read {place.logs / 'mlflow.log'}, then `make stack` again"
        ) from None


def prefect_deployments(place: Place) -> None:
    """The work pools, and what prefect.yaml deploys."""
    for pool in POOLS:
        prefect(place, "work-pool", "create", pool, "--type", "process", "--overwrite")
    prefect(place, "--no-prompt", "deploy", "--all")


def prefect(place: Place, *words: str) -> str:
    """One `prefect` command against the stack's server; what it printed."""
    command = [sys.executable, "-m", "prefect", *words]
    return _run(command, {**base(place), **client(place)}, CHECKOUT)


def workspace(place: Place) -> None:
    """A workspace whose pointers go to a git remote, its shards to S3, all else by URL."""
    if not place.git_remote.exists():
        _run(["git", "init", "--quiet", "--bare", "-b", "main", str(place.git_remote)], base(place))
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    made = [str(place.workspace), f"s3://{BUCKETS[0]}/shards", str(place.git_remote)]
    script = str(CHECKOUT / "deploy" / "workspace.sh")
    _run(["sh", script, *made], {**base(place), "PATH": programs})
    (place.workspace / "expunge.toml").write_text('git_remote = "origin"\n')


def _run(command: list[str], environment: dict[str, str], folder: Path | None = None) -> str:
    done = subprocess.run(
        command,
        env=environment,
        cwd=folder or os.sep,
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        shown = " ".join(Path(word).name if word.startswith("/") else word for word in command[:6])
        raise TerminalError(
            f"`{shown}` failed: {' '.join((done.stderr or done.stdout).split())[-600:]}",
            left="What was set up before it stays.",
            fix="mend what it says, then `make stack` again",
        )
    return done.stdout
