"""A full disk, said plainly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from expunge.errors import TransientError, is_no_room


class StorageFullError(TransientError):
    """No room for what has to be written."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn 'no space left' into an error of ours.

    Raises:
        StorageFullError: the disk, the quota or the largest file allowed is reached.
    """
    try:
        yield
    except OSError as error:
        if not is_no_room(error):
            raise
        raise StorageFullError(
            f"No room to write under {path}.",
            left="What is published is unchanged; half-written files aside are cleared next time.",
            fix="free space there, or set EXPUNGE_STATE to a larger disk, and run it again",
        ) from None
