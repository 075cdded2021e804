"""How long a trace takes in a large ledger.

    .venv/bin/python -m benchmarks.trace [--requests 100000] [--batches 1000] [--versions 1000]

Builds a synthetic ledger through the real schema, in bulk: every batch erased its share of the
people, made a dataset version, and every so often a model version; one ingest, one model. Each
kind of trace is timed cold (a new connection, SQLite's cache empty; the operating system's file
cache is warm) and warm (the median of several), beside the baseline: one row by primary key.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import Connection, Table, select

from expunge.keys import KeyRing, ReferenceKey
from expunge.lineage import (
    Graph,
    View,
    dataset_graph,
    dot,
    mermaid,
    model_graph,
    request_graph,
    run_graph,
    subject_graph,
    to_tree,
)
from expunge.requests import Ledger, schema
from expunge.requests.bulk import insert_rows
from expunge.requests.chunks import chunked
from expunge.requests.filing import request_id

LIMIT_MS = 100.0
_DATASET, _MODEL = "people", "judge"
_START = datetime(2020, 1, 1, tzinfo=UTC)
_WARM = 9
_CHUNK = 50_000


class Synthetic:
    """The rows of a ledger with so many requests, batches and model versions."""

    def __init__(self, requests: int, batches: int, versions: int, key: ReferenceKey) -> None:
        self.requests, self.batches, self.versions, self.key = requests, batches, versions, key
        self.share = max(1, requests // batches)
        self.every = max(1, batches // max(1, versions - 1))

    def write(self, ledger: Ledger) -> None:
        """Fill an empty ledger."""
        for table, rows in self._tables():
            for chunk in chunked(rows, _CHUNK):
                with ledger._store.write() as connection:
                    insert_rows(connection, table, [_row(table, each) for each in chunk])

    def _tables(self) -> Iterator[tuple[Table, Iterator[dict[str, Any]]]]:
        yield schema.batches, (self._batch(n) for n in range(self.batches))
        yield schema.requests, (self._request(n) for n in range(self.requests))
        yield schema.targets, (self._target(n) for n in range(self.requests))
        yield schema.settlements, (self._settlement(n) for n in range(self.requests))
        yield schema.suppressions, (self._suppression(n) for n in range(self.requests))
        yield schema.dataset_versions, (self._version(n) for n in range(self.batches + 1))
        yield schema.erased_training_rows, (self._erased(n) for n in range(self.batches))
        yield schema.model_versions, (self._model(n) for n in range(self.versions))
        yield schema.batch_models, (self._decision(n) for n in range(self.batches))
        yield schema.outcomes, (self._outcome(n) for n in range(self.batches))
        yield schema.outcomes, (self._staged(n) for n in range(self.batches))
        yield schema.champions, iter([{"model": _MODEL, "version": str(self.versions)}])
        yield schema.derived, (self._derived(n) for n in range(self.batches))
        yield schema.events, self._events()

    def subject(self, number: int) -> str:
        """A person's id."""
        return f"subject-{number}"

    def request(self, number: int) -> str:
        """The id of that person's request."""
        return request_id("bench", str(number))

    def batch(self, number: int) -> int:
        """The batch of a person's request."""
        return min(number // self.share, self.batches - 1)

    def _request(self, number: int) -> dict[str, Any]:
        at = _START + timedelta(seconds=number)
        return {
            "id": self.request(number),
            "source": "bench",
            "external_id": str(number),
            "subject_ref": self.key.ref(self.subject(number)),
            "key_id": self.key.key_id,
            "regulation": "gdpr",
            "received_at": at,
            "due_at": at + timedelta(days=30),
            "extended": False,
            "state": "completed",
            "payload_digest": "0" * 64,
        }

    def _target(self, number: int) -> dict[str, Any]:
        return {
            "id": number + 1,
            "request_id": self.request(number),
            "dataset": _DATASET,
            "due_at": _START + timedelta(days=30, seconds=number),
            "state": "completed",
            "batch_id": _batch_id(self.batch(number)),
            "rows": 10,
            "confirmed": False,
            "disposition": "erase",
        }

    def _settlement(self, number: int) -> dict[str, Any]:
        version = min(self.batch(number) // self.every + 2, self.versions)
        told = {"state": "settled", "version": str(version)}
        return {"target_id": number + 1, "model": _MODEL, **told}

    def _suppression(self, number: int) -> dict[str, Any]:
        ref = self.key.ref(self.subject(number))
        key = {"key_id": self.key.key_id, "target_id": number + 1}
        return {"dataset": _DATASET, "subject_ref": ref, **key}

    def _batch(self, number: int) -> dict[str, Any]:
        at = _START + timedelta(days=number)
        return {
            "id": _batch_id(number),
            "dataset": _DATASET,
            "state": "finished",
            "created_at": at,
        }

    def _version(self, number: int) -> dict[str, Any]:
        return {
            "dataset": _DATASET,
            "ordinal": number + 1,
            "md5": f"{number * 7919:032x}.dir",
            "commit": f"{number * 104_729:040x}",
            "kind": "erasure" if number else "ingest",
            "ingest": 1,
            "batch_id": _batch_id(number - 1) if number else None,
            "rows": 10_000_000 - number,
            "shards": 1_024,
            "created_at": _START + timedelta(days=number),
        }

    def _erased(self, number: int) -> dict[str, Any]:
        return {"dataset": _DATASET, "ordinal": number + 2, "ingest": 1, "rows": 10 * self.share}

    def _model(self, number: int) -> dict[str, Any]:
        """The first was trained on version 1; each other one by the last batch of its share."""
        last = number == self.versions - 1 and number > 0
        batch = self.batches - 1 if last else number * self.every - 1
        ordinal = batch + 2 if number else 1
        at = _START + timedelta(days=batch + 1)
        return {
            "model": _MODEL,
            "version": str(number + 1),
            "position": number + 1,
            "dataset": _DATASET,
            "dataset_ordinal": ordinal,
            "ingest_seen": 1,
            "clean_as_of": ordinal,
            "kind": "unlearned" if number else "trained",
            "parent": str(number) if number else None,
            "batch_id": _batch_id(batch) if number else None,
            "run_id": f"run-{number + 1}",
            "strategy": "top_k" if number else None,
            "edits": number,
            "created_at": at,
            "promoted_at": at,
        }

    def _decision(self, number: int) -> dict[str, Any]:
        before = min(number // self.every + 1, self.versions)
        told = {"decision": "promoted", "version": str(min(before + 1, self.versions))}
        key = {"batch_id": _batch_id(number), "model": _MODEL}
        return {**key, "champion": str(before), **told}

    def _outcome(self, number: int) -> dict[str, Any]:
        names = ("hard_row_auc", "forgetting", "held_out", "worst_subject")
        criteria = [
            {"name": name, "estimate": 0.5, "reference": 0.5, "margin": 0.05, "outcome": "pass"}
            for name in names
        ]
        return {
            "batch_id": _batch_id(number),
            "station": "gate",
            "part": f"{_MODEL}/1/0",
            "payload": {"strategy": "top_k", "outcome": "pass", "criteria": criteria},
            "at": _START + timedelta(days=number),
        }

    def _staged(self, number: int) -> dict[str, Any]:
        touched = list(range(0, 1_024, 10))
        files = [f"{name}-{shard:04d}.parquet" for shard in touched for name in ("shard", "index")]
        counted = {"rows_erased": 10 * self.share, "touched": touched, "files": files}
        return {
            "batch_id": _batch_id(number),
            "station": "stage",
            "part": "",
            "payload": counted,
            "at": _START + timedelta(days=number),
        }

    def _derived(self, number: int) -> dict[str, Any]:
        return {
            "key": f"reference-{number}",
            "kind": "reference",
            "dataset": _DATASET,
            "dataset_ordinal": number + 1,
            "roles": "R",
            "path": f"derived/{number}",
            "digest": "0" * 64,
            "state": "invalid",
            "created_at": _START + timedelta(days=number),
        }

    def _events(self) -> Iterator[dict[str, Any]]:
        kinds = ("received", "claimed", "found", "erased", "settled", "completed")
        for number in range(self.requests):
            place = {"request_id": self.request(number), "dataset": _DATASET}
            at, batch = _START + timedelta(seconds=number), _batch_id(self.batch(number))
            for step, kind in enumerate(kinds):
                told = {"seq": number * len(kinds) + step + 1, "at": at, "kind": kind}
                yield {**told, **place, "batch_id": batch if step else None, "payload": {}}


def _batch_id(number: int) -> str:
    return f"b-{number:08d}"


def _row(table: Table, values: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(values.get(column.name) for column in table.columns)


def traces(made: Synthetic) -> dict[str, Callable[[Ledger], Graph]]:
    """Each kind of trace, from the middle of the history."""
    person, batch = made.requests // 2, made.batches // 2
    version = str(max(1, made.versions // 2))
    return {
        "request": lambda ledger: request_graph(ledger, made.request(person)),
        "request, 9 deep": lambda ledger: request_graph(
            ledger, made.request(person), View(9, "down")
        ),
        "subject": lambda ledger: subject_graph(ledger, _DATASET, made.subject(person), None),
        "subject unknown": lambda ledger: subject_graph(ledger, _DATASET, "nobody", None),
        "model version": lambda ledger: model_graph(ledger, _MODEL, version),
        "model version, 9 up": lambda ledger: model_graph(ledger, _MODEL, version, View(9, "up")),
        "model": lambda ledger: model_graph(ledger, _MODEL),
        "MLflow run": lambda ledger: run_graph(ledger, f"run-{version}"),
        "dataset version": lambda ledger: dataset_graph(ledger, _DATASET, str(batch)),
        "dataset version by md5": lambda ledger: dataset_graph(
            ledger, _DATASET, f"{batch * 7919:032x}"
        ),
        "dataset": lambda ledger: dataset_graph(ledger, _DATASET),
    }


def timed(
    url: str, keys: KeyRing, ask: Callable[[Ledger], Any], times: int = _WARM
) -> tuple[float, float, Any]:
    """Milliseconds cold and warm (median of `times`), and the answer."""
    with Ledger.open(url, keys) as ledger:
        taken = []
        for _ in range(times + 1):
            started = time.perf_counter()
            answer = ask(ledger)
            taken.append(1_000 * (time.perf_counter() - started))
    return taken[0], statistics.median(taken[1:]), answer


def _one_row(made: Synthetic) -> Callable[[Ledger], Any]:
    wanted = made.request(made.requests // 2)
    query = select(schema.requests).where(schema.requests.c.id == wanted)

    def ask(ledger: Ledger) -> Any:
        with ledger._store.read() as connection:
            return _only(connection, query)

    return ask


def _only(connection: Connection, query: Any) -> Any:
    return connection.execute(query).one()


def main(arguments: Sequence[str] | None = None) -> None:
    """Build, then time each trace."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--batches", type=int, default=1_000)
    parser.add_argument("--versions", type=int, default=1_000)
    asked = parser.parse_args(arguments)
    with TemporaryDirectory() as folder:
        keys = KeyRing(Path(folder) / "keys")
        url = f"sqlite:///{Path(folder) / 'ledger.db'}"
        made = Synthetic(asked.requests, asked.batches, asked.versions, keys.reference())
        started = time.perf_counter()
        with Ledger.open(url, keys) as ledger:
            made.write(ledger)
        size = (Path(folder) / "ledger.db").stat().st_size / 1e6
        print(
            f"{asked.requests:,} requests, {asked.batches:,} batches, {asked.versions:,} model "
            f"versions: {size:,.0f} MB, written in {time.perf_counter() - started:.0f} s"
        )
        _report(url, keys, made)


def _report(url: str, keys: KeyRing, made: Synthetic) -> None:
    baseline = timed(url, keys, _one_row(made))[1]
    print(f"baseline, one row by its key: {baseline:.2f} ms; limit {LIMIT_MS:.0f} ms")
    heading = ("trace", "nodes", "cold ms", "warm ms", "x baseline", "of limit")
    print("{:24} {:>6} {:>9} {:>9} {:>11} {:>9}".format(*heading))
    for name, ask in traces(made).items():
        cold, warm, graph = timed(url, keys, ask)
        ratio, share = warm / baseline, cold / LIMIT_MS
        print(f"{name:24} {len(graph.nodes):6} {cold:9.1f} {warm:9.1f} {ratio:11.0f} {share:9.0%}")
    with Ledger.open(url, keys) as ledger:
        graph = model_graph(ledger, _MODEL)
    for name, write in {"tree": to_tree, "DOT": dot, "Mermaid": mermaid}.items():
        started = time.perf_counter()
        write(graph)
        print(f"the model's trace as {name}: {1_000 * (time.perf_counter() - started):.1f} ms")


if __name__ == "__main__":
    main()
