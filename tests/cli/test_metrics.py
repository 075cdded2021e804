"""`expunge metrics` and `expunge exporter`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request

from tests.cli.conftest import Expunge
from tests.loopback import free_port


def test_metrics_are_printed_once_and_name_nobody(expunge: Expunge) -> None:
    requests = expunge.file("somebody-of-the-metrics")
    result = expunge("metrics")
    assert result.exit_code == 0, result.output
    assert 'expunge_targets{dataset="people",state="pending"} 1.0' in result.stdout
    assert "expunge_ledger_up 1.0" in result.stdout
    assert requests[0] not in result.stdout
    assert "somebody" not in result.stdout


def test_metrics_of_a_ledger_that_cannot_be_read_are_an_error(expunge: Expunge) -> None:
    ledger = expunge.root / ".expunge" / "ledger.db"
    ledger.write_bytes(b"no database" * 200)
    result = expunge("metrics")
    assert result.exit_code == 75
    assert "expunge doctor" in result.stderr


def test_an_exporter_serves_what_is_there_until_it_is_stopped(expunge: Expunge) -> None:
    expunge.file("somebody")
    port = free_port()
    command = [sys.executable, "-m", "expunge.cli", "exporter", "--port", str(port)]
    environment = os.environ | {"EXPUNGE_WORKSPACE": str(expunge.root)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert f"http://127.0.0.1:{port}/metrics" in process.stderr.readline()
        assert 'state="pending"} 1.0' in _scraped(port)
        expunge.file("somebody else")
        assert 'state="pending"} 2.0' in _scraped(port)
        taken = expunge("exporter", "--port", str(port))
        assert taken.exit_code == 1
        assert "Address already in use" in taken.stderr
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143


def _scraped(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as reply:
        return str(reply.read(), "utf-8")
