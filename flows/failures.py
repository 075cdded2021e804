"""Jobs over several things, of which some failed: one error that tells of all."""

from __future__ import annotations

from expunge.errors import ExpungeError, TerminalError, TransientError


def summary(failed: dict[str, ExpungeError]) -> ExpungeError:
    """The one error, or one that names what failed; transient where all are."""
    if len(failed) == 1:
        return next(iter(failed.values()))
    transient = all(isinstance(error, TransientError) for error in failed.values())
    return (TransientError if transient else TerminalError)(
        "; ".join(f"{name}: {error.what}" for name, error in failed.items()),
        left=" ".join(dict.fromkeys(error.left for error in failed.values())),
        fix="; ".join(f"{name}: {error.fix}" for name, error in failed.items()),
    )
