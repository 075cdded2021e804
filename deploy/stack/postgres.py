"""PostgreSQL of this machine: its programs, and a cluster of our own.

PostgreSQL refuses to run as root, so where we are root it runs as user `postgres` or `nobody`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path

from deploy.passwords import write
from expunge.errors import TerminalError

_FOLDERS = ("/usr/lib/postgresql/*/bin", "/opt/homebrew/opt/postgresql*/bin")


class PostgresMissingError(TerminalError):
    """A program of PostgreSQL is not installed."""


def binary(name: str) -> str:
    """Path of one of PostgreSQL's programs; the newest where there are several.

    Raises:
        PostgresMissingError: it is not there; says which package has it.
    """
    if found := shutil.which(name):
        return found
    for pattern in _FOLDERS:
        root, _, rest = pattern.partition("*")
        for folder in sorted(Path(root).parent.glob(f"{Path(root).name}*{rest}"), reverse=True):
            if (folder / name).exists():
                return str(folder / name)
    package = "postgresql-client" if name == "psql" else "postgresql"
    raise PostgresMissingError(
        f"PostgreSQL's `{name}` is not on this machine.",
        fix=f"install Debian's package {package}: apt-get install {package} "
        f"(macOS: brew install postgresql)",
    )


def unprivileged() -> str | None:
    """User to run the server as; None where we are not root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in names)


def make_cluster(data: Path, password: str) -> None:
    """`initdb` at `data` with superuser postgres; everybody is asked for a password.

    Nothing if it is there; a start that was killed within initdb leaves nothing there.

    Raises:
        TerminalError: initdb failed.
    """
    if data.exists():
        return
    user, new = unprivileged(), data.with_name(f"{data.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True, mode=0o700)
    secret = new.with_suffix(".password")
    write(secret, password)
    if user is not None:
        for path in (new, secret):
            os.chown(path, pwd.getpwnam(user).pw_uid, -1)
    command = [binary("initdb"), "-D", str(new), "--auth=scram-sha-256", "--encoding=UTF8"]
    command += ["--username=postgres", f"--pwfile={secret}", "--locale=C", "--no-sync"]
    done = subprocess.run(
        command, user=user, cwd="/", env=clean(), check=False, capture_output=True, text=True
    )
    secret.unlink()
    if done.returncode:
        shutil.rmtree(new)
        raise TerminalError(
            f"initdb could not make {data}: {' '.join(done.stderr.split())}",
            fix="mend what it says; started as root, PostgreSQL runs as another user, to whom "
            "every folder above has to be open",
        )
    new.rename(data)


def clean() -> dict[str, str]:
    """The environment for PostgreSQL's programs: English messages, no server of somebody else's."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
    return {**kept, "LC_ALL": "C"}
