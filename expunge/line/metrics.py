"""The ledger in Prometheus' terms.

Gauges are read anew at each scrape. What only grows, seconds of stations and verdicts of gates,
is added up over the append-only events, from where the scrape before ended; so it is the same
whichever exporter says it, and after a restart. Labels are datasets, models, stations and states:
never a request or a person.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from expunge.errors import ExpungeError
from expunge.requests import utc_now
from expunge.requests.watch import Concluded, Sight, Watch

BOUNDS = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)  # seconds of a station
_DAY = 86_400.0
_logger = logging.getLogger(__name__)


@dataclass
class Totals:
    """What was added up so far; `seq` is the last event in it."""

    seq: int = 0
    seconds: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    of_models: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    verdicts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)

    def add(self, each: Concluded) -> None:
        """One more event."""
        self.seq = each.seq
        if each.failed:
            self.failed[each.dataset] += 1
            return
        counts = self.seconds[each.dataset, each.station] or [0.0] * (len(BOUNDS) + 2)
        for place, bound in enumerate(BOUNDS):
            counts[place] += each.seconds <= bound
        counts[-2] += 1
        counts[-1] += each.seconds
        self.seconds[each.dataset, each.station] = counts
        if each.model is not None:
            self.of_models[each.dataset, each.model, each.station] += each.seconds  # type: ignore[assignment]
        if each.model is not None and each.verdict is not None:
            self.verdicts[each.dataset, each.model, each.verdict] += 1


@dataclass(eq=False)  # a registry keeps it by identity
class LedgerCollector(Collector):
    """Collects from a ledger; one that does not answer is `expunge_ledger_up 0`, and no more."""

    url: str = field(repr=False)
    now: Callable[[], datetime] = utc_now
    totals: Totals = field(default_factory=Totals)
    _alone: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def collect(self) -> Iterator[Metric]:
        """Every metric, once."""
        with self._alone:
            try:
                with Watch.open(self.url, self.now) as watch:
                    sight = watch.sight()
                    for each in watch.concluded(self.totals.seq):
                        self.totals.add(each)
            except (ExpungeError, SQLAlchemyError) as error:
                why = error.what if isinstance(error, ExpungeError) else type(error).__name__
                _logger.warning("the ledger could not be read: %s", why)
                yield _up(0)
                return
            yield _up(1)
            yield from _waiting(sight)
            yield from _running(sight)
            yield from _models(sight)
            yield from _added(self.totals)

    def describe(self) -> Iterator[Metric]:
        """Nothing beforehand: registering does not read the ledger."""
        return iter(())


def registry(url: str) -> CollectorRegistry:
    """A registry that holds the metrics of the ledger at `url`, and nothing of this process."""
    made = CollectorRegistry()
    made.register(LedgerCollector(url))
    return made


def metrics_text(url: str) -> str:
    """Every metric once, in Prometheus' text format."""
    return generate_latest(registry(url)).decode()


def _gauge(name: str, meaning: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"expunge_{name}", meaning, labels=labels)


def _counter(name: str, meaning: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"expunge_{name}", meaning, labels=labels)


def _up(value: int) -> Metric:
    made = GaugeMetricFamily("expunge_ledger_up", "Whether the ledger could be read.")
    made.add_metric([], value)
    return made


def _waiting(sight: Sight) -> Iterator[Metric]:
    states = _gauge("targets", "Requests of a dataset by state.", "dataset", "state")
    oldest = _gauge("oldest_request_age_seconds", "Age of the oldest open request.", "dataset")
    nearest = _gauge("nearest_deadline_days", "Days to it; negative when it passed.", "dataset")
    late = _gauge("overdue_targets", "Open requests whose deadline passed.", "dataset")
    for each in sight.backlogs:
        for state, number in each.states.items():
            states.add_metric([each.dataset, state], number)
        late.add_metric([each.dataset], each.overdue)
        oldest.add_metric([each.dataset], _since(sight.at, each.oldest_received))
        if each.nearest_due is not None:
            nearest.add_metric([each.dataset], -_since(sight.at, each.nearest_due) / _DAY)
    yield from (states, oldest, nearest, late)


def _running(sight: Sight) -> Iterator[Metric]:
    done = _gauge("last_batch_success_timestamp_seconds", "End of the last batch.", "dataset")
    age = _gauge("open_batch_age_seconds", "Age of the open batch; 0 without one.", "dataset")
    idle = _gauge("open_batch_idle_seconds", "Since the open batch last moved.", "dataset")
    for each in sight.batches:
        if each.finished_at is not None:
            done.add_metric([each.dataset], each.finished_at.timestamp())
        age.add_metric([each.dataset], _since(sight.at, each.opened_at))
        idle.add_metric([each.dataset], _since(sight.at, each.moved_at))
    held = _gauge("lock_held", "Whether a process holds the dataset's lock.", "dataset")
    lease = _gauge("lock_lease_seconds", "Until its lease ends; negative: expired.", "dataset")
    since = _gauge("lock_held_seconds", "Since its holder took it; 0 if nobody.", "dataset")
    for lock in sight.locks:
        since.add_metric([lock.dataset], _since(sight.at, lock.taken_at) if lock.held else 0.0)
        held.add_metric([lock.dataset], lock.held)
        left = -_since(sight.at, lock.expires_at) if lock.held else 0.0
        lease.add_metric([lock.dataset], left)
    yield from (done, age, idle, held, lease, since)


def _models(sight: Sight) -> Iterator[Metric]:
    owed = _gauge("model_debt_batches", "Batches that a model still owes.", "dataset", "model")
    held = _gauge("model_held", "Whether the gate let no candidate through.", "dataset", "model")
    for each in sight.debts:
        owed.add_metric([each.dataset, each.model], each.batches)
        held.add_metric([each.dataset, each.model], each.held)
    yield from (owed, held)


def _added(totals: Totals) -> Iterator[Metric]:
    took = HistogramMetricFamily(
        "expunge_station_seconds", "Seconds of a station.", labels=["dataset", "station"]
    )
    for labels, counts in sorted(totals.seconds.items()):
        bounds = [*(str(bound) for bound in BOUNDS), "+Inf"]
        took.add_metric(labels, list(zip(bounds, counts[:-1], strict=True)), counts[-1])
    models = _counter("model_seconds", "Seconds spent on it.", "dataset", "model", "station")
    for key, seconds in sorted(totals.of_models.items()):
        models.add_metric(key, seconds)
    said = _counter("gate_verdicts", "Verdicts of the gate.", "dataset", "model", "result")
    for key, number in sorted(totals.verdicts.items()):
        said.add_metric(key, number)
    failed = _counter("batches_failed", "Batches that ended without publishing.", "dataset")
    for dataset, number in sorted(totals.failed.items()):
        failed.add_metric([dataset], number)
    yield from (took, models, said, failed)


def _since(now: datetime, then: datetime | None) -> float:
    return 0.0 if then is None else (now - then).total_seconds()
