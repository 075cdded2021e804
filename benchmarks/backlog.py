"""How one scheduled run drains a backlog of requests, nearest deadline first.

    .venv/bin/python -m benchmarks.backlog [--requests 100000]

A workspace into which nothing was ingested yet, and so many requests, received over a year in no
order: each is claimed, looked up, and ends as `no_match`, so that what is timed is the ledger and
the line around it. The figures go to standard output as JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from expunge.line import open_line, run_batch
from expunge.line.schedule import drain
from expunge.requests import Filing
from expunge.workspace import init_workspace

START = datetime(2026, 1, 1, tzinfo=UTC)


def main() -> None:
    """File, drain, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    count = parser.parse_args().requests
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "workspace"
        dataset = init_workspace(root).datasets()[0].name
        with open_line(root) as line:
            began = time.monotonic()
            filed = sum(1 for _ in line.ledger.file(_filings(count, dataset)))
            filing = time.monotonic() - began

            def run(name: str) -> str | None:
                report = run_batch(line, name)
                return report.batch_id if report else None

            began = time.monotonic()
            done = drain(line, [dataset], run)
            draining = time.monotonic() - began
            due = {each.id: each.due_at for each in line.ledger.requests()}
            events = line.ledger.events(dataset=dataset)
            claimed = [due[str(e.request_id)] for e in events if e.kind == "claimed"]
            found = {
                "requests": filed,
                "batches": len(done.batches[dataset]),
                "left": done.pending,
                "in_order_of_deadline": claimed == sorted(claimed),
                "seconds_to_file": round(filing, 1),
                "seconds_to_drain": round(draining, 1),
            }
    print(json.dumps(found))


def _filings(count: int, dataset: str) -> Iterator[Filing]:
    draw = random.Random(0)
    for number in range(count):
        received = START + timedelta(seconds=draw.randrange(300 * 86_400))
        yield Filing("portal", f"t-{number}", f"p-{number}", "gdpr", received, (dataset,))


if __name__ == "__main__":
    main()
