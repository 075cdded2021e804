"""Strict JSON: a name that stands twice in an object is refused, as are NaN and Infinity.

Which of two values was meant, nobody can tell.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, BinaryIO, NoReturn

from expunge.requests.intake.lines import numbered
from expunge.requests.intake.rows import BadRowError

Value = tuple[int, dict[str, Any] | BadRowError]


def objects_by_line(stream: BinaryIO, *, batches: bool) -> Iterator[Value]:
    """The object of each line with its number; with `batches` also those of a line's array."""
    for number, text in numbered(stream):
        if isinstance(text, BadRowError):
            yield number, text
        elif text.strip():
            value = parsed(text)
            if batches and isinstance(value, list):
                yield from ((number, _object(each)) for each in value)
            else:
                yield number, _object(value)


def object_in(text: str) -> dict[str, Any] | BadRowError:
    """The one object that `text` is."""
    return _object(parsed(text))


def parsed(text: str | bytes) -> Any:
    """The value that `text` is, or a BadRowError."""
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except BadRowError as bad:
        return bad
    except (ValueError, RecursionError):
        return BadRowError("is not JSON")


def _object(value: Any) -> dict[str, Any] | BadRowError:
    if isinstance(value, dict | BadRowError):
        return value
    return BadRowError("is not a JSON object")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadRowError("names a field twice")
    return found


def _no_number(name: str) -> NoReturn:
    raise BadRowError("is not JSON")
