"""Derived artifacts: models made from people's rows, kept for later batches.

Tracked in the ledger and invalidated when someone in the roles they were made from is erased, so
that the next batch makes them anew.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from expunge.line.context import Line
from expunge.requests import Derived, Fence


def derived(
    line: Line,
    fence: Fence,
    *,
    key: str,
    dataset: str,
    roles: str,
    make: Callable[[Path], None],
    afresh: bool = False,
) -> Path:
    """The folder of the artifact `key` (`kind:name:digest`); `make` fills it where it is not valid.

    `afresh` makes it again though it is. The folder appears whole or not at all.
    """
    folder = _folder(line, key)
    if is_valid(line, key) and not afresh:
        return folder
    aside = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    make(aside)
    shutil.rmtree(folder, ignore_errors=True)
    aside.rename(folder)
    made = Derived(
        key=key,
        kind=key.partition(":")[0],
        dataset=dataset,
        dataset_ordinal=line.current_version(dataset).ordinal,
        roles=roles,
        path=f"derived/{folder.name}",
        digest=_content(folder),
        state="valid",
        created_at=datetime.now(UTC),
    )
    line.ledger.record_derived(fence, made)
    return folder


def is_valid(line: Line, key: str) -> bool:
    """Whether the artifact `key` is there, and nobody it was made from was erased."""
    known = line.ledger.derived(key)
    return known is not None and known.state == "valid" and _folder(line, key).is_dir()


def digest_of(*settings: Any) -> str:
    """16 hexadecimal digits of settings that an artifact depends on."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def _folder(line: Line, key: str) -> Path:
    return line.workspace.state("derived") / key.replace(":", "-")


def _content(folder: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        total.update(path.read_bytes())
    return total.hexdigest()
