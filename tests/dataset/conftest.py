from __future__ import annotations

from pathlib import Path

import pytest

from expunge.dataset import Store
from tests.dataset.world import ingest, people


@pytest.fixture(scope="session")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """60 people of 4 rows; for tests that only read it."""
    return ingest(tmp_path_factory.mktemp("people"), people())[0]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """60 people of 4 rows; the test's own."""
    return ingest(tmp_path, people())[0]
