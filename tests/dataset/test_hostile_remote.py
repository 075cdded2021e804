"""What somebody who may write to the DVC remote, or to the git remote, can make a restore do."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from expunge.dataset import dvcrepo
from expunge.dataset.dvcrepo import HostileVersionError, StoreUnreachableError
from expunge.dataset.versions import Published, checkout, publish
from expunge.workspace import init_workspace

BUCKET = "versions"


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """A bucket of a real S3 server on loopback."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    made = boto3.resource("s3").create_bucket(Bucket=BUCKET)
    yield made
    server.stop()


@pytest.fixture
def published(
    tmp_path: Path, bucket: object, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Published]:
    """A workspace with one version on S3, and nothing of it in the cache."""
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    root = tmp_path / "workspace"
    init_workspace(root)
    for line in ("user.name user", "user.email user@localhost"):
        subprocess.run(["git", "-C", str(root), "config", *line.split()], check=True)
    with dvcrepo.open_dvc(root) as dvc, dvc.config.edit("repo") as config:
        remote = config["core"]["remote"]
        config["remote"][remote] = {
            "url": f"s3://{BUCKET}/dvc",
            "endpointurl": os.environ["AWS_ENDPOINT_URL"],
        }
    staged = root / ".expunge/staging/first"
    staged.mkdir(parents=True)
    for name in ("shard-0", "shard-1"):
        (staged / name).write_text(name)
    version = publish(root, "digits", staged, key="ingest:1", message="Ingest")
    for folder in (root / ".dvc/cache", root / ".dvc/tmp", tmp_path / "site"):
        shutil.rmtree(folder, ignore_errors=True)
    return root, version


def _object(bucket: object, oid: str) -> object:
    return bucket.Object(f"dvc/files/md5/{oid[:2]}/{oid[2:]}")  # type: ignore[attr-defined]


def test_a_version_comes_back_from_s3(published: tuple[Path, Published], tmp_path: Path) -> None:
    root, version = published
    folder = checkout(root, "digits", version.md5, tmp_path / "restored")
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        "shard-0": "shard-0",
        "shard-1": "shard-1",
    }


def test_a_shard_that_was_swapped_on_the_remote_is_refused(
    published: tuple[Path, Published], bucket: object, tmp_path: Path
) -> None:
    root, version = published
    _object(bucket, hashlib.md5(b"shard-1").hexdigest()).put(Body=b"swapped")  # type: ignore[attr-defined]
    with pytest.raises(StoreUnreachableError, match="than their digests name"):
        checkout(root, "digits", version.md5, tmp_path / "restored")
    assert not any(path.is_file() for path in (tmp_path / "restored").rglob("*"))
    assert not any(path.read_bytes() == b"swapped" for path in _files(root / ".dvc/cache"))


def test_a_listing_that_leaves_its_folder_writes_nothing(
    published: tuple[Path, Published], bucket: object, tmp_path: Path
) -> None:
    root, _ = published
    content = {"md5": hashlib.md5(b"shard-0").hexdigest()}
    listing = json.dumps([{**content, "relpath": "../../escaped"}]).encode()
    oid = hashlib.md5(listing).hexdigest() + ".dir"
    _object(bucket, oid).put(Body=listing)  # type: ignore[attr-defined]
    with pytest.raises(HostileVersionError, match="outside its own folder"):
        checkout(root, "digits", oid, tmp_path / "deep/restored")
    assert not list(tmp_path.rglob("escaped"))


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
