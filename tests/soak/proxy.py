"""A TCP proxy on loopback that can be told to fail, seeded: in front of the stand-in for S3."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal

Mode = Literal["through", "error", "slow", "refuse", "cut"]
MODES: tuple[Mode, ...] = ("error", "slow", "refuse", "cut")
SLOW_SECONDS = 0.7
_PIECE = 65536
_BODY = b"<?xml version='1.0'?><Error><Code>InternalError</Code><Message>injected</Message></Error>"
_ERROR = (
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/xml\r\n"
    b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY)
)


@dataclass
class Proxy:
    """Passes bytes on; `share` of the requests or connections meet the mode's fault.

    error: S3's answer 500. slow: each piece waits. refuse: the connection is reset at once.
    cut: it is closed in the middle of an answer.
    """

    target: int
    port: int = 0
    mode: Mode = "through"
    share: float = 1.0
    injected: int = 0
    draw: random.Random = field(default_factory=random.Random)
    _listener: socket.socket = field(default_factory=socket.socket)

    def fail(self, mode: Mode, share: float, seed: int) -> None:
        """From now on, until told otherwise."""
        self.draw, self.share, self.mode = random.Random(seed), share, mode

    def heal(self) -> None:
        """Pass everything on again."""
        self.mode = "through"

    @contextmanager
    def running(self) -> Iterator[Proxy]:
        """Listen on a free port of loopback for the length of the block."""
        self._listener.bind(("127.0.0.1", self.port))
        self._listener.listen(64)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        try:
            yield self
        finally:
            self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        if self._hit("refuse"):
            _reset(client)
            return
        with client, socket.create_connection(("127.0.0.1", self.target)) as server:
            back = threading.Thread(target=self._answer, args=(server, client), daemon=True)
            back.start()
            with suppress(OSError):
                self._ask(client, server)
            back.join()

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        while piece := client.recv(_PIECE):
            if piece[:4] in (b"GET ", b"PUT ", b"HEAD", b"POST", b"DELE") and self._hit("error"):
                client.sendall(_ERROR.partition(_BODY)[0] if piece[:4] == b"HEAD" else _ERROR)
                break
            if self._hit("refuse"):
                _reset(client)
                break
            if self._hit("slow"):
                time.sleep(SLOW_SECONDS)
            server.sendall(piece)
        server.shutdown(socket.SHUT_RDWR)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while piece := server.recv(_PIECE):
                if self._hit("cut"):
                    client.sendall(piece[: len(piece) // 2])
                    break
                client.sendall(piece)
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)

    def _hit(self, mode: Mode) -> bool:
        hit = self.mode == mode and self.draw.random() < self.share
        self.injected += hit
        return hit


def _reset(client: socket.socket) -> None:
    """End the connection as a host does on which nothing listens."""
    linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
    with suppress(OSError):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    client.close()
