"""The child process of `flows.embedded`: `python -m flows.embedded_server PORT`.

Serves Prefect's API from the database in `PREFECT_HOME`, made and migrated here if need be.
"""

from __future__ import annotations

import fcntl
import os
import sys
import threading
from pathlib import Path


def serve(port: int) -> None:
    """Serve on loopback until terminated, or until standard input closes."""
    threading.Thread(target=_die_with_parent, daemon=True).start()
    _migrate(Path(os.environ["PREFECT_HOME"]))
    import uvicorn
    from prefect.server.api.server import create_app

    uvicorn.run(create_app(), host="127.0.0.1", port=port, log_level="error")


def _migrate(home: Path) -> None:
    """Bring the database to head, one process at a time: two runs may start together."""
    import anyio
    from prefect.server.database import provide_database_interface

    with (home / "migrate.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        anyio.run(provide_database_interface().create_db)


def _die_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)
    os._exit(0)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
