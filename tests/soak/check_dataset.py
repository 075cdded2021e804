"""The dataset's current version, read by pyarrow from DVC's objects: who is in it, who is not."""

from __future__ import annotations

import hashlib
import io
import json
from collections import Counter

import pyarrow.parquet as pq
import yaml

from tests.soak.check_requests import Tables
from tests.soak.findings import Findings
from tests.soak.site import Folder, Site, Tree, Truth, git

OBJECTS = "files/md5/"


def check_dataset(ledger: Tables, site: Site, truth: Truth, found: Findings) -> None:
    """Erased people have no row, everyone else has all of theirs, in every place of the version."""
    newest = max(ledger["dataset_versions"], key=lambda version: version["ordinal"])
    pointer = yaml.safe_load(git(site.root, "show", f"HEAD:data/{site.dataset}.dvc"))
    committed = pointer["outs"][0]["md5"]
    found.expect(committed == newest["md5"], "dataset", f"HEAD points at {committed}")
    files = version_files(site.remote, newest["md5"])
    whole = _check_places(site, newest["md5"], files, found)
    held: Counter[str] = Counter()
    for name, content in whole.items():
        if name.startswith("shard-"):
            shard = pq.read_table(io.BytesIO(content), columns=["subject_id"])
            held.update(shard["subject_id"].to_pylist())
    erased = erased_people(ledger, truth)
    found.expect(held.total() == newest["rows"], "dataset", f"{held.total()} rows are there")
    still = erased & {*held}
    found.expect(not still, "dataset", f"{len(still)} erased people are still there")
    wrong = [who for who, rows in truth.rows.items() if who not in erased and held[who] != rows]
    found.expect(not wrong, "dataset", f"{len(wrong)} other people lost or gained rows")


def erased_people(ledger: Tables, truth: Truth) -> set[str]:
    """People of whom a published batch took the rows out."""
    gone = {e["request_id"] for e in ledger["events"] if e["kind"] == "erased"}
    return {truth.accepted[request] for request in gone if request in truth.accepted}


def version_files(remote: Tree, md5: str) -> dict[str, str]:
    """The md5 of each file of a version by its name."""
    listed = json.loads(remote.read(_path(md5)))
    return {entry["relpath"]: entry["md5"] for entry in listed}


def _check_places(site: Site, md5: str, files: dict[str, str], found: Findings) -> dict[str, bytes]:
    """Workspace, cache and remote hold the same bytes, under the digests that name them.

    The content of each file whose copy on the remote is whole.
    """
    whole = {}
    workspace = Folder(site.root / "data" / site.dataset)
    for name in workspace.names() ^ {*files}:
        found.add("dataset", f"data/{site.dataset}/{name} is in the folder or the version alone")
    places: dict[str, Tree] = {"workspace": workspace, "cache": site.cache, "remote": site.remote}
    for place, tree in places.items():
        there = tree.names()
        for name, oid in files.items():
            path = {"workspace": name, "cache": _oid(oid), "remote": _path(oid)}[place]
            content = tree.read(path) if path in there else b""
            if hashlib.md5(content).hexdigest() != oid:
                found.add("dataset", f"{name} of {md5[:10]} is broken in the {place}")
            elif place == "remote":
                whole[name] = content
    return whole


def _oid(md5: str) -> str:
    return f"{md5[:2]}/{md5[2:]}"


def _path(md5: str) -> str:
    return OBJECTS + _oid(md5)
