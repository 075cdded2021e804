"""No id of an erased person stands where people, or other systems, read.

Searched byte by byte: logs and databases of every server, the ledger, MLflow's records and
artifacts, git's history, the workspace's private files. Not searched: DVC's objects of older
versions and the folders of rows, which are data, and go with the purge.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.soak.check_requests import Tables
from tests.soak.findings import Findings
from tests.soak.site import Site, git, tables

_DATA = ("remote", "staging")


def check_told(ledger: Tables, site: Site, people: Iterable[str], found: Findings) -> None:
    """Look for each person's id in everything that was written."""
    wanted = [person.encode() for person in people]
    prefix = os.path.commonprefix(wanted)  # noqa: RUF071 - of texts; a quick look first
    for where, content in _written(ledger, site):
        told = sum(person in content for person in wanted) if prefix in content else 0
        found.expect(not told, "told", f"{told} people's ids in {where}")


def _written(ledger: Tables, site: Site) -> Iterator[tuple[str, bytes]]:
    yield "the ledger", _dump(ledger)
    yield "MLflow's database", _dump(tables(site.mlflow_db))
    for name in site.artifacts.names() - site.searched:
        if "?" not in name:
            yield f"MLflow's artifact {name}", site.artifacts.read(name)
            site.searched.add(name)
    yield "git's history", git(site.root, "log", "--all", "-p", "--text").encode()
    private = [path for path in _files(site.private) if _place(path, site) not in _DATA]
    places = (*site.logs, *([site.scratch] if site.scratch else []))
    for path in (*private, *(each for place in places for each in _files(place))):
        yield str(path), path.read_bytes()


def _dump(database: Tables) -> bytes:
    return b"\n".join(
        value if isinstance(value, bytes) else str(value).encode()
        for rows in database.values()
        for row in rows
        for value in row.values()
    )


def _files(place: Path) -> list[Path]:
    return [place] if place.is_file() else [path for path in place.rglob("*") if path.is_file()]


def _place(path: Path, site: Site) -> str:
    return path.relative_to(site.private).parts[0]
