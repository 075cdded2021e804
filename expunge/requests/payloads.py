"""JSON that every database keeps: no NaN, no Infinity, nothing but JSON's own types."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from expunge.requests.errors import LedgerConflictError


def checked_payload(payload: Mapping[str, Any]) -> dict[str, Any]:
    """`payload` as it will read back (tuples become lists), or an error."""
    try:
        kept: dict[str, Any] = json.loads(json.dumps(dict(payload), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise LedgerConflictError(
            f"An outcome cannot be recorded as JSON: {error}.",
            fix="record undefined numbers as null, and values as numbers, texts, lists, mappings",
        ) from None
    return kept
