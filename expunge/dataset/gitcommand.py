"""Run git in the workspace: our identity, no hooks, no prompts, and patience with locks."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path

from expunge.errors import TransientError
from expunge.settings import redacted
from expunge.workspace import IDENTITY

_PATIENCE_SECONDS = 10.0
_ORPHAN_SECONDS = 2.0
_LIMIT_SECONDS = 600
_LOCKED = re.compile(r"Unable to create '(.+\.lock)': File exists")


class GitError(TransientError):
    """Git failed in a way that may pass: a lock, a full disk, a remote out of reach."""


def run(root: Path, *args: str, stdin: bytes = b"") -> str:
    """Output of a git command, without the line's end; waits for the locks of others."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        done = call(root, *args, stdin=stdin)
        if done.returncode == 0:
            return done.stdout.decode().rstrip("\n")
        said = done.stderr.decode(errors="replace")
        locked = _LOCKED.search(said)
        if not locked or time.monotonic() > deadline:
            raise failure(root, args[0], said)
        if _is_orphan(root, Path(locked[1])):
            Path(locked[1]).unlink(missing_ok=True)
        time.sleep(0.1)


def call(root: Path, *args: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run a git command once, whatever comes of it."""
    quiet = ("-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0")
    command = ["git", "-C", str(root), *quiet, *args]
    try:
        return subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            check=False,
            env=_environment(),
            timeout=_LIMIT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise GitError(
            f"git {args[0]} did not end within {_LIMIT_SECONDS} s.",
            fix="check the git remote, then run again",
        ) from None


def failure(root: Path, command: str, said: str) -> GitError:
    """The error for what git said."""
    locked = _LOCKED.search(said)
    mend = f"if no git runs in {root}, remove {locked[1]}; " if locked else ""
    return GitError(
        f"git {command} failed: {last_line(said.encode())}",
        left="What was placed, added and committed so far stays; the same run again resumes.",
        fix=f"{mend}`expunge doctor` checks git and its remote; then run again",
    )


def _is_orphan(root: Path, lock: Path) -> bool:
    """Whether a lock file was left by a git that was killed: git writes no owner into it."""
    import psutil

    try:
        age = time.time() - lock.stat().st_mtime
    except FileNotFoundError:
        return False
    if age < _ORPHAN_SECONDS:
        return False
    for process in psutil.process_iter(["name", "cwd"]):
        cwd = process.info["cwd"]
        ours = cwd is None or Path(cwd).is_relative_to(root)
        if ours and (process.info["name"] or "").startswith("git"):
            return False
    return True


def _environment() -> dict[str, str]:
    """The caller's environment, free of what a surrounding git hook would force on us."""
    kept = {name: value for name, value in os.environ.items() if not _forces(name)}
    name, email = IDENTITY
    kept |= {
        "GIT_AUTHOR_NAME": name,
        "GIT_AUTHOR_EMAIL": email,
        "GIT_COMMITTER_NAME": name,
        "GIT_COMMITTER_EMAIL": email,
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }
    return kept


def _forces(name: str) -> bool:
    return name.startswith("GIT_") and not name.startswith(("GIT_SSH", "GIT_CONFIG", "GIT_ASKPASS"))


def last_line(said: bytes) -> str:
    """What git said last, which is the reason."""
    lines = [line for line in said.decode(errors="replace").splitlines() if line.strip()]
    return redacted(lines[-1].strip())[:300] if lines else "it said nothing"
