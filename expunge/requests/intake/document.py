"""One JSON document that may span lines: an object, or an array of them, element by element.

Elements are split by their brackets alone and then parsed one by one, so that memory does not grow
with the document, and an element that is no JSON inside does not stop the others.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from expunge.requests.intake.json_values import Value, object_in
from expunge.requests.intake.lines import LONGEST_LINE, too_long
from expunge.requests.intake.rows import BadRowError

_BLOCK = 64 * 1024
_MARK = re.compile(r"[^ \t\r\n]")
_OUTSIDE_TEXT = re.compile(r'["{}\[\]]')
_INSIDE_TEXT = re.compile(r'["\\]')
_ANY = re.compile(r".", re.DOTALL)


class _BrokenError(Exception):
    """Where the brackets and commas of a document stop making sense."""


def objects_of_document(stream: BinaryIO) -> Iterator[Value]:
    """Each object with the number of its first line.

    Past a place where the document's own brackets or commas are wrong, nothing can be told apart:
    that is reported, and reading ends.
    """
    text = _Text(_blocks(stream))
    try:
        yield from _elements(text)
    except _BrokenError as broken:
        yield text.number, BadRowError(f"{broken}; nothing after it was read")


@dataclass
class _Text:
    """A document's text, read block by block, and the number of the line that was reached."""

    blocks: Iterator[str]
    number: int = 1
    _block: str = ""
    _at: int = 0

    def find(self, wanted: re.Pattern[str], passed: _Kept | None = None) -> str:
        """Move past the next character that is `wanted`, and return it; "" at the end."""
        while True:
            found = wanted.search(self._block, self._at)
            end = found.end() if found else len(self._block)
            self.number += self._block.count("\n", self._at, end)
            if passed is not None:
                passed.add(self._block[self._at : end])
            self._at = end
            if found:
                return found.group()
            self._block, self._at = next(self.blocks, ""), 0
            if not self._block:
                return ""


@dataclass
class _Kept:
    """Text that was passed over, up to the limit of one element."""

    parts: list[str] = field(default_factory=list)
    size: int = 0

    def add(self, part: str) -> None:
        """Keep `part`, unless there is too much already."""
        self.size += len(part)
        if self.size <= LONGEST_LINE:
            self.parts.append(part)


def _blocks(stream: BinaryIO) -> Iterator[str]:
    """Text of the document; bytes that are not UTF-8 become lone surrogates, told later."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
    while block := stream.read(_BLOCK):
        if text := decoder.decode(block):
            yield text
    if text := decoder.decode(b"", final=True):
        yield text


def _elements(text: _Text) -> Iterator[Value]:
    first = text.find(_MARK)
    if first == "[":
        yield from _array(text)
    elif first:
        yield text.number, _value(text, first)
    if text.find(_MARK):
        raise _BrokenError("is not part of the document's one value")


def _array(text: _Text) -> Iterator[Value]:
    mark = text.find(_MARK)
    while mark != "]":
        yield text.number, _value(text, mark)
        mark = text.find(_MARK)
        if mark == ",":
            mark = text.find(_MARK)
            if mark == "]":
                raise _BrokenError("is not JSON")
        elif mark != "]":
            raise _BrokenError("is not JSON")


def _value(text: _Text, first: str) -> dict[str, object] | BadRowError:
    """The object whose first character was just read."""
    if first != "{":
        raise _BrokenError("is not a JSON object")
    kept, depth = _Kept([first], 1), 1
    while depth:
        mark = text.find(_OUTSIDE_TEXT, kept)
        if mark == '"':
            _pass_text(text, kept)
        elif not mark:
            raise _BrokenError("is not JSON")
        else:
            depth += 1 if mark in "{[" else -1
    if kept.size > LONGEST_LINE:
        return too_long()
    whole = "".join(kept.parts)
    try:
        whole.encode()
    except UnicodeEncodeError:
        return BadRowError("is not UTF-8")
    return object_in(whole)


def _pass_text(text: _Text, kept: _Kept) -> None:
    """Move past the end of a JSON text whose opening quote was just read."""
    while (mark := text.find(_INSIDE_TEXT, kept)) == "\\":
        text.find(_ANY, kept)
    if not mark:
        raise _BrokenError("is not JSON")
