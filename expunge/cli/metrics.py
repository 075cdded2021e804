"""`expunge metrics` and `expunge exporter`: the ledger for Prometheus, which is only read."""

from __future__ import annotations

import threading
from typing import Annotated

import typer

from expunge.cli.command import command
from expunge.cli.session import Session
from expunge.errors import TerminalError, TransientError


def register(root: typer.Typer) -> None:
    """Both commands."""
    command(root)(metrics)
    command(root)(exporter)


def metrics(session: Session) -> None:
    """Print every metric once, in Prometheus' text format."""
    from expunge.line.metrics import metrics_text

    text = metrics_text(_url(session))
    if "\nexpunge_ledger_up 0" in text:
        raise TransientError(
            "The ledger could not be read.", fix="expunge doctor says why, and how to mend it"
        )
    typer.echo(text, nl=False)


def exporter(
    session: Session,
    *,
    port: Annotated[int, typer.Option(min=1, max=65535, help="TCP port.")] = 9108,
    address: Annotated[
        str, typer.Option(help="Address to listen at; 0.0.0.0 for every one.")
    ] = "127.0.0.1",
) -> None:
    """Serve the metrics at /metrics until it is stopped; the ledger is only read."""
    from prometheus_client import start_http_server

    from expunge.line.metrics import registry

    made = registry(_url(session))
    try:
        server, thread = start_http_server(port, addr=address, registry=made)
    except OSError as error:
        raise TerminalError(
            f"Nothing can be served at {address}:{port}: {error.strerror}.",
            fix="choose another --port or --address",
        ) from None
    with session.progress() as progress:
        progress("exporter", f"metrics at http://{address}:{port}/metrics")
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        raise typer.Exit from None
    finally:
        server.shutdown()
        thread.join()


def _url(session: Session) -> str:
    return session.workspace().settings.ledger.url.get_secret_value()
