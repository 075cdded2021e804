"""Bytes, as numbered lines of text. Of a line that is too long, no more than the limit is held."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from expunge.requests.intake.rows import BadRowError

LONGEST_LINE = 64 * 1024
_BOM = b"\xef\xbb\xbf"

Line = tuple[int, str | BadRowError]


def numbered(stream: BinaryIO) -> Iterator[Line]:
    """Each line with its number from 1, without its end; or why it is no text."""
    number = 0
    while line := stream.readline(LONGEST_LINE + 1):
        number += 1
        if number == 1:
            line = line.removeprefix(_BOM)
        if len(line) > LONGEST_LINE and not line.endswith(b"\n"):
            while (rest := stream.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
                pass
            yield number, too_long()
        else:
            yield number, _text(line)


def too_long() -> BadRowError:
    """The reason of a row above the limit."""
    return BadRowError(f"is longer than {LONGEST_LINE} bytes")


def _text(line: bytes) -> str | BadRowError:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        return BadRowError("is not UTF-8")
    return BadRowError("has a NUL byte") if "\0" in text else text.rstrip("\r\n")
