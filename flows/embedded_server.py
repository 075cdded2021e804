"""The child process of `flows.embedded`: `python -m flows.embedded_server PORT`.

Serves Prefect's API from the database in `PREFECT_HOME`, made and migrated here if need be.
"""

from __future__ import annotations

import fcntl
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

# A connection that the server closes while a station works costs its client a retry of 2 s.
KEEP_ALIVE_SECONDS = 24 * 3600
BUSY = 503


def serve(port: int) -> None:
    """Serve on loopback until terminated, or until standard input closes."""
    threading.Thread(target=_die_with_parent, daemon=True).start()
    home = Path(os.environ["PREFECT_HOME"])
    with (home / "servers.lock").open("w") as servers:
        with (home / "start.lock").open("w") as start:  # two runs may start together
            fcntl.flock(start, fcntl.LOCK_EX)
            _prepare(alone=_is_only(servers.fileno()))
            fcntl.flock(servers, fcntl.LOCK_SH)
        import uvicorn
        from prefect.server.api.server import create_app

        uvicorn.run(
            retried_soon(create_app()),
            host="127.0.0.1",
            port=port,
            log_level="error",
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )


def retried_soon(app: ASGIApp) -> ASGIApp:
    """Ask clients whose request met another one's SQLite transaction to try again at once.

    Prefect answers them 503 and leaves the pause to the client: 2 s, then 4, for a conflict that
    is over in milliseconds.
    """

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == BUSY:
                message["headers"] = [*message["headers"], (b"retry-after", b"0.2")]
            await send(message)

        await app(scope, receive, answer)

    return serve


def _is_only(servers: int) -> bool:
    """Whether no other server of this database is alive: each holds the lock, shared."""
    try:
        fcntl.flock(servers, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _prepare(*, alone: bool) -> None:
    """Bring the database to head; free the slots of runs that were killed.

    A slot's lease lives in the memory of the server that gave it, so a server that dies with its
    run leaves the slot taken for ever: the next run would wait without end.
    """
    import anyio
    import sqlalchemy as sa
    from prefect.server.database import provide_database_interface

    async def prepare() -> None:
        database = provide_database_interface()
        await database.create_db()
        if alone:
            async with database.session_context(begin_transaction=True) as session:
                await session.execute(sa.update(database.ConcurrencyLimitV2).values(active_slots=0))

    anyio.run(prepare)


def _die_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)
    os._exit(0)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
