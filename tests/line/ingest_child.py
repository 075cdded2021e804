"""Ingest in a process that kills itself: before its staged files are published, or right after."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import expunge.line.recover
from expunge.line import ingest, open_line

publish_files = expunge.line.recover.publish_files


def killed_before(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def killed_after(*args: Any, **kwargs: Any) -> None:
    publish_files(*args, **kwargs)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    root, source, moment = sys.argv[1:]
    killed = killed_before if moment == "before" else killed_after
    expunge.line.recover.publish_files = killed  # type: ignore[assignment]
    with open_line(Path(root)) as line:
        ingest(line, "small", Path(source))
