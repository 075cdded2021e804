"""The proxy passes bytes on, and fails as it is told."""

from __future__ import annotations

import contextlib
import http.client
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.soak.proxy import Proxy

BODY = b"x" * 100_000


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with Proxy(server.server_address[1]).running() as running:
            yield running
        server.shutdown()


def ask(proxy: Proxy) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)
    connection.request("GET", "/")
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_what_is_healthy_passes(proxy: Proxy) -> None:
    assert ask(proxy) == (200, BODY)
    assert proxy.injected == 0


def test_an_error_is_an_answer_of_s3(proxy: Proxy) -> None:
    proxy.fail("error", 1.0, 0)
    status, body = ask(proxy)
    assert (status, b"InternalError" in body) == (500, True)
    proxy.heal()
    assert ask(proxy)[0] == 200


def test_connections_are_reset_and_answers_cut(proxy: Proxy) -> None:
    proxy.fail("refuse", 1.0, 0)
    with pytest.raises(OSError):
        ask(proxy)
    proxy.fail("cut", 1.0, 0)
    with contextlib.suppress(OSError, http.client.HTTPException):
        assert ask(proxy)[1] != BODY
    assert proxy.injected >= 2


def test_a_share_of_the_requests_fails_by_the_seed(proxy: Proxy) -> None:
    def statuses() -> list[int]:
        proxy.fail("error", 0.5, 7)
        return [ask(proxy)[0] for _ in range(8)]

    first = statuses()
    assert {*first} == {200, 500}
    assert statuses() == first
