"""Ingest in a process that kills itself: before its staged files are published, or right after."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

from expunge.dataset import publish
from expunge.line import ingest, open_line


def killed_before(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def killed_after(*args: Any, **kwargs: Any) -> None:
    publish(*args, **kwargs)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    root, source, moment = sys.argv[1:]
    killed = killed_before if moment == "before" else killed_after
    with patch("expunge.line.recover.publish_files", killed), open_line(Path(root)) as line:
        ingest(line, "small", Path(source))
