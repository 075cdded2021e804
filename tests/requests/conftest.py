"""Every test of the ledger runs on a real SQLite file and on a real PostgreSQL."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import sqlalchemy as sa

from expunge.keys import KeyRing
from expunge.requests import Batch, Fence, Filing, Ledger, ModelSight, ModelVersion
from tests.postgres import Server, running_server

GRANTS = Path(__file__).parents[2] / "deploy" / "postgres" / "ledger-grants.sql"


@dataclass
class Clock:
    """A clock that a test moves."""

    now: datetime = datetime(2026, 11, 21, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass
class World:
    """A ledger with its URL, keys and clock, and short ways to move it along."""

    url: str
    keys: KeyRing
    clock: Clock
    ledger: Ledger
    filed: dict[str, str] = field(default_factory=dict)

    @property
    def owner(self) -> str:
        """The database's URL as the role that owns its tables."""
        return self.url.replace("//expunge@", "//tester@")

    def file(self, *people: str, received: datetime | None = None, **more: Any) -> list[str]:
        """File one request per person; returns the request ids."""
        ids = []
        for person in people:
            number = str(len(self.filed) + 1)
            values: dict[str, Any] = {
                "regulation": "gdpr",
                "received_at": received,
                "datasets": ("digits",),
            }
            filing = Filing(source="test", external_id=number, subject_id=person, **(values | more))
            (done,) = self.ledger.file([filing])
            assert done.outcome == "accepted"
            self.filed[number] = done.request_id
            ids.append(done.request_id)
        return ids

    def ingest(self, fence: Fence, number: int = 1) -> None:
        """Record ingest `number`."""
        self.ledger.record_ingest(
            fence,
            dataset=fence.dataset,
            md5=f"{number:032x}.dir",
            commit=f"{number:040x}",
            ingest=number,
            rows=100,
            shards=4,
        )

    def claim(self, fence: Fence, limit: int = 100) -> Batch:
        """Claim, with champion `cnn` at version 1."""
        batch = self.ledger.claim(fence, champions={"cnn": "1"}, limit=limit)
        assert batch is not None
        return batch

    def erase(
        self,
        fence: Fence,
        batch_id: str,
        trained: dict[int, dict[int, int]] | None = None,
        sights: dict[str, ModelSight] | None = None,
    ) -> None:
        """Take a claimed batch through stage, validate and publish; all rows were ingest 1's."""
        claims = self.ledger.claims(batch_id)
        self.ledger.conclude(fence, batch_id, "stage", {}, state="staged")
        self.ledger.conclude(fence, batch_id, "validate", {}, state="validated")
        seen = {claim.target_id: {1: 5} for claim in claims} if trained is None else trained
        self.ledger.record_erasure(
            fence,
            batch_id,
            md5=f"{batch_id}.dir",
            commit=f"commit-{batch_id}",
            rows=90,
            shards=4,
            shards_rewritten=1,
            trained=seen,
            models={"cnn": ModelSight(1)} if sights is None else sights,
        )

    def model(self, fence: Fence, version: str, **values: Any) -> ModelVersion:
        """Record a version of model `cnn`."""
        defaults: dict[str, Any] = {
            "dataset": fence.dataset,
            "dataset_ordinal": 1,
            "ingest_seen": 1,
            "clean_as_of": 1,
            "kind": "trained",
            "parent": None,
            "batch_id": None,
            "run_id": f"run-{version}",
            "strategy": None,
            "edits": 0,
            "created_at": self.clock(),
        }
        made = ModelVersion(model="cnn", version=version, **(defaults | values))
        return self.ledger.record_model(fence, made)

    def states(self) -> list[str]:
        """States of the requests, in order of filing."""
        return [self.ledger.request(each).state for each in self.filed.values()]

    def kinds(self, **of: str) -> list[str]:
        """Kinds of the events, in order."""
        return [event.kind for event in self.ledger.events(**of)]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    with running_server() as server:
        yield server


@pytest.fixture(scope="session")
def migrated_database(postgres: Server) -> Iterator[str]:
    """Name of a PostgreSQL database at the newest schema, with the grants that we ship; to copy."""
    with postgres.database() as url, TemporaryDirectory() as keys:
        Ledger.open(url, KeyRing(Path(keys))).close()
        name = url.rpartition("/")[2]
        engine = sa.create_engine(url, poolclass=sa.NullPool)  # a template takes no connection
        with engine.begin() as connection:
            connection.exec_driver_sql(
                "CREATE ROLE expunge LOGIN; CREATE ROLE expunge_reader LOGIN"
            )
        postgres.run(GRANTS, name)
        yield name


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite ledger at the newest schema, to copy."""
    folder = tmp_path_factory.mktemp("migrated")
    Ledger.open(f"sqlite:///{folder / 'ledger.db'}", KeyRing(folder / "keys")).close()
    return folder / "ledger.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def blank_url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database that nobody has opened yet."""
    if backend == "sqlite":
        yield f"sqlite:///{tmp_path / 'ledger.db'}"
        return
    with request.getfixturevalue("postgres").database() as fresh:
        yield fresh


@pytest.fixture
def url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database for a ledger, migrated already, which is the slow part.

    On PostgreSQL for role `expunge`, which has the rights that a deployment gives it, no others.
    """
    if backend == "sqlite":
        file = shutil.copy(request.getfixturevalue("migrated_file"), tmp_path / "ledger.db")
        yield f"sqlite:///{file}"
        return
    template = request.getfixturevalue("migrated_database")
    server = request.getfixturevalue("postgres")
    with server.database(template) as fresh:
        yield server.url(fresh.rpartition("/")[2], "expunge")


@pytest.fixture
def keys(tmp_path: Path) -> KeyRing:
    return KeyRing(tmp_path / "keys")


@pytest.fixture
def world(url: str, keys: KeyRing) -> Iterator[World]:
    clock = Clock()
    with Ledger.open(url, keys, clock=clock) as ledger:
        yield World(url, keys, clock, ledger)
