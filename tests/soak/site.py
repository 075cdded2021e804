"""What the checker looks at, and with what it reads: SQL, git, DVC's objects, S3's listing.

Nothing here imports expunge, so that no projection of ours judges itself.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa

JSON_COLUMNS = ("payload", "detail", "result", "metrics", "position")
Row = Mapping[str, Any]


class Tree(Protocol):
    """Files under one root, in a folder or in a bucket."""

    def names(self) -> set[str]:
        """Path of every file below the root, and of every upload that was never completed."""

    def read(self, name: str) -> bytes:
        """The bytes of one file."""


@dataclass(frozen=True)
class Folder:
    """Files of a folder."""

    root: Path

    def names(self) -> set[str]:
        """Relative paths of all files, hidden ones too."""
        return {
            path.relative_to(self.root).as_posix()
            for path in self.root.rglob("*")
            if path.is_file() or path.is_symlink()
        }

    def read(self, name: str) -> bytes:
        """The bytes of one file."""
        return (self.root / name).read_bytes()


@dataclass(frozen=True)
class Bucket:
    """Objects of an S3 bucket below a prefix."""

    endpoint: str
    name: str
    prefix: str = ""

    def names(self) -> set[str]:
        """Keys below the prefix; an upload in parts that was never completed as `KEY?uploading`."""
        client = self._client()
        pages = client.get_paginator("list_objects_v2").paginate(
            Bucket=self.name, Prefix=self.prefix
        )
        found = {one["Key"] for page in pages for one in page.get("Contents", ())}
        begun = client.list_multipart_uploads(Bucket=self.name).get("Uploads", ())
        found |= {f"{one['Key']}?uploading" for one in begun}
        return {key.removeprefix(self.prefix) for key in found if key.startswith(self.prefix)}

    def read(self, name: str) -> bytes:
        """The bytes of one object."""
        body = self._client().get_object(Bucket=self.name, Key=self.prefix + name)["Body"]
        return bytes(body.read())

    def _client(self) -> Any:
        import boto3

        own = {"aws_access_key_id": "soak", "aws_secret_access_key": "soak"}  # the stand-in's own
        return boto3.client("s3", endpoint_url=self.endpoint, region_name="us-east-1", **own)


@dataclass(frozen=True)
class Site:
    """One workspace and the stores around it.

    `logs` are files and folders of what processes said or wrote down, `scratch` the folder that
    was everybody's `TMPDIR`; `searched` are artifacts, which never change, that were searched
    for ids before.
    """

    root: Path
    dataset: str
    ledger: str
    mlflow: str
    mlflow_db: str
    remote: Tree
    artifacts: Tree
    logs: tuple[Path, ...] = ()
    scratch: Path | None = None
    searched: set[str] = field(default_factory=set)

    @property
    def private(self) -> Path:
        """The workspace's private state."""
        return self.root / ".expunge"

    @property
    def cache(self) -> Folder:
        """DVC's local cache."""
        return Folder(self.root / ".dvc/cache/files/md5")


@dataclass(frozen=True)
class Truth:
    """What the one who drives the workspace knows of it.

    `rows`: rows brought in of each person; `accepted`: the person of each request that was taken
    in, by the request's id.
    """

    rows: Mapping[str, int] = field(repr=False)
    accepted: Mapping[str, str] = field(repr=False)


def tables(url: str) -> dict[str, list[Row]]:
    """Every row of every table of a database."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    found: dict[str, list[Row]] = {}
    with engine.connect() as connection:
        for name in sa.inspect(connection).get_table_names():
            rows = connection.execute(sa.text(f'SELECT * FROM "{name}"')).mappings()
            found[name] = [_plain(row) for row in rows]
    return found


def _plain(row: Row) -> Row:
    """JSON columns as values; SQLite hands them out as text."""
    return {
        name: json.loads(value) if name in JSON_COLUMNS and isinstance(value, str) else value
        for name, value in row.items()
    }


def git(root: Path, *words: str) -> str:
    """What git says."""
    command = ["git", "-C", str(root), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
