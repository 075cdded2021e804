"""Look for texts in everything that a workspace holds, decoding what a byte search cannot see.

Not our own code's view of the workspace: it walks the files itself, opens SQLite tables row by
row, zip members, gzip and zlib (git's objects), Parquet and Arrow columns.
"""

from __future__ import annotations

import sqlite3
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def found_in(root: Path, needles: Iterable[str]) -> dict[str, set[str]]:
    """For each place below `root` that holds a needle, in name or content: which needles."""
    wanted = {needle: needle.encode() for needle in needles}
    found: dict[str, set[str]] = {}
    for place, content in _places(root):
        hits = {needle for needle, raw in wanted.items() if raw in content or needle in place}
        if hits:
            found[place] = hits
    return found


def _places(root: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(root.rglob("*")):
        if path.is_file() and not path.is_symlink():
            name = str(path.relative_to(root))
            content = path.read_bytes()
            yield name, content
            yield from ((f"{name}!{inner}", text) for inner, text in _decoded(path, content))


def _decoded(path: Path, content: bytes) -> Iterator[tuple[str, bytes]]:
    if content.startswith(b"SQLite format 3\0"):
        yield from _tables(path)
    elif content.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                yield member, archive.read(member)
    elif content.startswith(b"PAR1"):
        yield from _columns(pq.read_table(path))
    elif content.startswith(b"ARROW1"):
        with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as file:
            yield from _columns(file.read_all())
    elif content[:1] in (b"\x78", b"\x1f"):
        try:
            yield "inflated", zlib.decompress(content, wbits=47)
        except zlib.error:
            return


def _tables(path: Path) -> Iterator[tuple[str, bytes]]:
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        names = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (name,) in names:
            rows = database.execute(f'SELECT * FROM "{name}"').fetchall()
            yield name, "\n".join(map(repr, rows)).encode()


def _columns(table: pa.Table) -> Iterator[tuple[str, bytes]]:
    for column in table.column_names:
        if pa.types.is_string(table[column].type):
            yield column, "\n".join(filter(None, table[column].to_pylist())).encode()
