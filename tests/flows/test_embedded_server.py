"""What the child process of the embedded API does to Prefect's own application."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from flows.embedded_server import BUSY, retried_soon


def _answer(status: int) -> list[dict[str, Any]]:
    """What a client is sent by an application that answers with `status`."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}"})

    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(retried_soon(application)({"type": "http"}, None, send))  # type: ignore[arg-type]
    return sent


def test_a_client_that_met_another_transaction_is_asked_to_try_again_soon() -> None:
    start, body = _answer(BUSY)
    assert dict(start["headers"])[b"retry-after"] == b"0.2"
    assert dict(start["headers"])[b"content-type"] == b"application/json"
    assert body["body"] == b"{}"


@pytest.mark.parametrize("status", [200, 404, 422, 500])
def test_every_other_answer_is_passed_on_as_it_is(status: int) -> None:
    start, _ = _answer(status)
    assert start["status"] == status
    assert b"retry-after" not in dict(start["headers"])
