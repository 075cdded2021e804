"""Logs for machines: one JSON object a line on standard error, where `EXPUNGE_LOG_FORMAT=json`.

Each line has `time`, `level`, `logger` and `message`, and `batch_id`, `dataset`, `model` and
`station` where they are known. Our own messages name no person. Messages of other libraries'
exceptions may, since some quote the value that they failed on: of an exception only its type and
place are written, and of our own errors their three parts.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from expunge.errors import ExpungeError
from expunge.settings import LogSettings, read, redacted

FIELDS = ("batch_id", "dataset", "model", "station")
_known: ContextVar[Mapping[str, str]] = ContextVar(
    "expunge_log_fields", default=MappingProxyType({})
)


@contextmanager
def about(**fields: str | None) -> Iterator[None]:
    """Give every line that is logged inside the block these fields."""
    given = {name: value for name, value in fields.items() if value}
    token = _known.set({**_known.get(), **given})
    try:
        yield
    finally:
        _known.reset(token)


class JsonLines(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        moment = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redacted(record.getMessage()),
        }
        known = _known.get()
        for name in FIELDS:
            if value := getattr(record, name, None) or known.get(name):
                line[name] = value
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = _error(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False)


def _error(error: BaseException) -> dict[str, str]:
    told = {"type": type(error).__name__}
    if isinstance(error, ExpungeError):
        return told | {"what": error.what, "left": error.left, "next": error.fix}
    frames = traceback.extract_tb(error.__traceback__)
    return told | ({"at": f"{frames[-1].filename}:{frames[-1].lineno}"} if frames else {})


class _Handler(logging.StreamHandler[Any]):
    """Writes to what standard error is now, not to what it was when logging began."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self.setFormatter(JsonLines())

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        self.stream = sys.stderr
        super().emit(record)


def configure() -> bool:
    """Follow the settings; whether logs are JSON. Other libraries say warnings and errors only."""
    settings = read(LogSettings)
    root = logging.getLogger()
    if settings.format != "json":
        return False
    if not is_json():
        root.handlers = [_Handler()]
        logging.captureWarnings(capture=True)
    logging.getLogger("expunge").setLevel(settings.level.upper())
    return True


def is_json() -> bool:
    """Whether `configure` made logs JSON."""
    return any(isinstance(handler, _Handler) for handler in logging.getLogger().handlers)


def adopt(name: str) -> None:
    """Send what the logger `name` and those below it print through our handler instead."""
    logger = logging.getLogger(name)
    logger.handlers = []
    logger.propagate = True
