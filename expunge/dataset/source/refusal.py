"""pyarrow's errors about a file as ours.

pyarrow's own messages quote the rejected value, so they are never passed on: what is kept of
them is the number of the column and of the row.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from expunge.dataset.errors import ColumnError, IngestError

_REWRITE = {
    "CSV": "write it again as CSV",
    "Parquet": "copy or write it again; `parquet-tools inspect FILE` shows its footer",
    "Arrow": "copy the folder again, or save the dataset again with `save_to_disk`",
}


@contextmanager
def reading(file: Path, kind: str) -> Iterator[None]:
    """Turn errors about a file of format `kind` into ours, without the values they quote."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _refusal(file, kind, error) from None


def _refusal(file: Path, kind: str, error: Exception) -> IngestError:
    text = str(error)
    places = [("row", r"Row #(\d+)", 0), ("column", r"column #(\d+)", 1)]
    named = ((noun, re.search(pattern, text), base) for noun, pattern, base in places)
    where = ", ".join([file.name, *(f"{n} {int(m[1]) + b}" for n, m, b in named if m)])
    if isinstance(error, UnicodeDecodeError) or "invalid UTF8" in text:
        return IngestError(f"{where}: not UTF-8.", fix="convert it: iconv -f ... -t UTF-8")
    if wrong := re.search(r"conversion error to ([a-z0-9]+)", text):
        return ColumnError(f"{where}: a value is not {wrong[1]}.", fix="mend this row, or its type")
    if wrong := re.search(r"Expected (\d+) columns, got (\d+)", text):
        return IngestError(
            f"{where}: {wrong[2]} values where the header has {wrong[1]}.", fix="mend this row"
        )
    damage = "" if kind == "CSV" else "; it is truncated or corrupt"
    return IngestError(f"{where}: not a readable {kind} file{damage}.", fix=_REWRITE[kind])
