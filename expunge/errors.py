"""The one error family.

Every message says three things: what happened, what was left as it was, and what to do next.
A terminal error comes back the same however often it is retried; a transient one may not.
No message ever holds a subject's id or the content of a rejected row.
"""

from __future__ import annotations

import errno


class ExpungeError(Exception):
    """Base of every error that expunge raises on purpose.

    `what` happened, what was `left` as it was, and `fix`: the next step, a command where there
    is one.
    """

    def __init__(self, what: str, *, fix: str, left: str = "Nothing was changed.") -> None:
        self.what, self.left, self.fix = what, left, fix
        super().__init__(f"{what}\n  left: {left}\n  next: {fix}")

    def __reduce__(self) -> tuple[object, ...]:
        """Keep the three parts when an error crosses a process."""
        return (_rebuild, (type(self), self.what, self.fix, self.left))


def _rebuild(kind: type[ExpungeError], what: str, fix: str, left: str) -> ExpungeError:
    return kind(what, fix=fix, left=left)


class TerminalError(ExpungeError):
    """Retrying cannot help: the input, the spec or a decision has to change."""


class TransientError(ExpungeError):
    """The outside world failed: the same call may succeed later."""


def is_no_room(error: BaseException) -> bool:
    """Whether the disk, the quota or the largest file allowed is what an operation ran into."""
    full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return isinstance(error, OSError) and error.errno in full
