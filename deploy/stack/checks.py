"""What has to hold after the trial: erased and promoted by schedule, on servers only, no leak."""

from __future__ import annotations

import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deploy import passwords
from deploy.stack.place import Place
from deploy.stack.topology import BUCKETS, database, dvc_cache
from deploy.stack.trial import Ran
from expunge.cli.demo.story import MODEL

_SQLITE = b"SQLite format 3\x00"


@dataclass(frozen=True)
class Check:
    """One finding, and what was found instead where it does not hold."""

    text: str
    held: bool
    found: str = ""


def checks(ran: Ran) -> Iterator[Check]:
    """Every check, in the order of the story."""
    yield from _run(ran)
    yield from _stores(ran.place)
    yield from _secrecy(ran.place)


def _run(ran: Ran) -> Iterator[Check]:
    by, state = ran.run["created_by"]["type"], ran.run["state_type"]
    yield Check("the run was made by the schedule, not by hand", by == "SCHEDULE", str(by))
    yield Check("the run completed", state == "COMPLETED", str(state))
    by_state = ran.status["requests"]["by_state"]
    counts = {name: count for name, count in by_state.items() if count}
    wanted = {"completed": ran.accepted - 1, "no_match": 1}
    yield Check("every request is at its end", counts == wanted, str(counts))
    models = {model["name"]: model for model in ran.status["models"]}
    champion = models[MODEL]["champion"]
    yield Check("a new champion was promoted", champion not in (None, "1"), str(champion))


def _stores(place: Place) -> Iterator[Check]:
    import boto3
    import psycopg

    url = database(place, "expunge", "expunge").replace("+psycopg", "")
    with psycopg.connect(url, passfile=str(place.passfile)) as connection:
        row = connection.execute("SELECT count(*) FROM events").fetchone()
    yield Check("the ledger's events are in PostgreSQL", bool(row and row[0]), str(row))
    s3 = boto3.client(
        "s3",
        endpoint_url=place.url("s3"),
        region_name="us-east-1",
        aws_access_key_id="expunge",
        aws_secret_access_key=place.password("s3"),
    )
    for bucket in BUCKETS:
        count = s3.list_objects_v2(Bucket=bucket)["KeyCount"]
        yield Check(f"bucket {bucket} has objects", count > 0, str(count))
    tags = subprocess.run(
        ["git", "-C", str(place.git_remote), "tag"], capture_output=True, text=True, check=True
    ).stdout.split()
    yield Check("the git remote has a tag for each version", len(tags) >= 2, " ".join(tags))
    stray = [str(path.relative_to(place.root)) for path in _sqlite(place)]
    yield Check("nothing is in SQLite, but DVC's index of hashes", not stray, " ".join(stray))


def _sqlite(place: Place) -> Iterator[Path]:
    """SQLite files below the stack, by their first bytes; DVC keeps a cache of hashes in one."""
    for path in place.root.rglob("*"):
        if path.is_relative_to(dvc_cache(place)) or path.is_symlink() or not path.is_file():
            continue
        with path.open("rb") as file:
            if file.read(len(_SQLITE)) == _SQLITE or path.suffix == ".db":
                yield path


def _secrecy(place: Place) -> Iterator[Check]:
    logs = b"".join(path.read_bytes() for path in place.logs.iterdir())
    told = [name for name in passwords.NAMES if place.password(name).encode() in logs]
    yield Check("no log holds a password", not told, " ".join(told))
    doors = {
        "Prefect": f"{place.url('prefect')}/api/admin/version",
        "MLflow": f"{place.url('mlflow')}/api/2.0/mlflow/experiments/get?experiment_id=0",
    }
    for name, url in doors.items():
        status = _status(url)
        yield Check(f"{name} lets nobody in without a login", status == 401, str(status))


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - our own address
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
