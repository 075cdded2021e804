"""Audit: what each strategy of a ladder achieves on mock requests, without anyone being erased.

The strategies unlearn ordinary training rows on copies of the champion. Dataset, registry and the
targets of the ledger stay as they are; what an audit leaves is one record for each strategy and
kind of request, written whole when its last draw is judged. The records order the ladder and speak
for candidates on which a small batch's rows do not decide (`qualification.py`).
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from typing import Any

from expunge.evaluation import Metric, ShadowScores
from expunge.line.audit_metrics import (
    Draw,
    against_retrain,
    lira_of,
    measured,
    noise_floor,
    outcome_of,
    summary,
)
from expunge.line.audit_networks import network_metrics
from expunge.line.bench import Bench, Slot, open_bench
from expunge.line.context import Line
from expunge.line.mock import MIN_ROWS, Mock, MockError, draw_mock
from expunge.line.qualification import settings_digest
from expunge.line.shadows import shadow_scores
from expunge.line.trial import Ground, Made, Tested
from expunge.requests import MOCK_KINDS, MockKind, Qualification

DRAWS = 3


@dataclass(frozen=True)
class Skipped:
    """A kind of mock request that cannot be drawn, and why."""

    request: MockKind
    why: str


@dataclass(frozen=True)
class AuditReport:
    """What one audit came to; the JSON contract of `expunge audit --json`."""

    model: str
    version: str
    dataset: str
    dataset_ordinal: int
    rows: int
    draws: int
    with_retrain: bool
    records: tuple[Qualification, ...]
    skipped: tuple[Skipped, ...]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Plain dicts and lists."""
        return asdict(self)


def audit(
    line: Line,
    model: str,
    *,
    requests: Sequence[MockKind] = MOCK_KINDS,
    rows: int = MIN_ROWS,
    draws: int = DRAWS,
    with_retrain: bool = False,
    slot: Slot = nullcontext,
) -> AuditReport:
    """Try every strategy of `model`'s ladder on mock requests of at least `rows` rows.

    The final exact retrain is tried `with_retrain` only, which adds exact retrains of the mocks,
    NULL (each strategy started from one) and the noise floor (two retrains judging each other).
    A kind that cannot be drawn is skipped while another one can. `slot` is entered for each trial.

    Raises:
        NoChampionError, MockError, OvertakenError.
    """
    _check(rows, draws)
    spec, started = line.workspace.model(model), time.monotonic()
    with open_bench(line, spec, slot) as bench:
        mocks, skipped = _mocks(bench, requests, rows, draws)
        work = _Audit(bench, with_retrain, len(mocks) * draws)
        records = [record for kind in mocks for record in work.of_kind(mocks[kind])]
    return AuditReport(
        model=model,
        version=bench.champion.version,
        dataset=spec.dataset,
        dataset_ordinal=bench.version.ordinal,
        rows=rows,
        draws=draws,
        with_retrain=with_retrain,
        records=tuple(records),
        skipped=skipped,
        seconds=round(time.monotonic() - started, 3),
    )


def _check(rows: int, draws: int) -> None:
    if rows < MIN_ROWS or draws < 1:
        raise MockError(
            f"{draws} draws of {rows} rows cannot tell a strategy that forgets from one that "
            "does not.",
            fix=f"ask for at least one draw, and at least {MIN_ROWS} rows",
        )


def _mocks(
    bench: Bench, kinds: Sequence[MockKind], rows: int, draws: int
) -> tuple[dict[MockKind, list[Mock]], tuple[Skipped, ...]]:
    """The mock requests by kind; an error only where none of the kinds can be drawn."""
    mocks: dict[MockKind, list[Mock]] = {}
    failed: dict[MockKind, MockError] = {}
    for kind in dict.fromkeys(kinds):
        try:
            mocks[kind] = [
                draw_mock(
                    bench.training,
                    kind,
                    rows=rows,
                    draw=draw,
                    seed=bench.seed(kind),
                    ingest_seen=bench.champion.ingest_seen,
                )
                for draw in range(draws)
            ]
        except MockError as error:
            failed[kind] = error
    if failed and not mocks:
        raise next(iter(failed.values()))
    return mocks, tuple(Skipped(kind, error.what) for kind, error in failed.items())


@dataclass(frozen=True)
class _Retrains:
    """Two exact retrains of one mock request, seeds apart, and their scores."""

    made: tuple[Made, Made]
    tested: tuple[Tested, Tested]


class _Audit:
    """The trials of one audit, counted."""

    def __init__(self, bench: Bench, with_retrain: bool, mocks: int) -> None:
        self.bench, self.with_retrain = bench, with_retrain
        self.last = len(bench.spec.ladder) - 1
        self._shadows: list[tuple[ShadowScores, ShadowScores]] = []
        # Each rung, and NULL of each, beside two retrains and the ladder's own.
        each = self.last * 2 + 3 if with_retrain else self.last
        self.done, self.total = 0, mocks * each

    def of_kind(self, mocks: Sequence[Mock]) -> Iterator[Qualification]:
        """A record for each strategy; the retrains of a kind serve all of them."""
        grounds = [Ground.lay(self.bench, mock) for mock in mocks]
        retrains = [self._retrains(ground) for ground in grounds] if self.with_retrain else []
        self._shadows = [self._shadow_scores(ground) for ground in grounds if retrains]
        for rung in range(self.last + bool(retrains)):
            draws = [
                self._draw(ground, rung, number, retrains[number] if retrains else None)
                for number, ground in enumerate(grounds)
            ]
            yield self._record(mocks, rung, draws)
        for ground in grounds:
            shutil.rmtree(ground.folder, ignore_errors=True)

    def _draw(self, ground: Ground, rung: int, number: int, retrains: _Retrains | None) -> Draw:
        made = self._make(ground, f"rung-{rung}", rung=rung)
        draw = measured(ground, made, rung=rung)
        more = network_metrics(ground, made, retrains.made if retrains else None)
        if retrains is not None:
            more |= self._beside(ground, made, rung, number, retrains)
        made.discard()
        return replace(draw, metrics={**draw.metrics, **more})

    def _beside(
        self, ground: Ground, made: Made, rung: int, number: int, retrains: _Retrains
    ) -> dict[str, Metric]:
        """What only exact retrains of the same mock request can tell."""
        first, second = retrains.tested
        if rung == self.last:
            more = against_retrain(ground, made, first, None)
            more |= noise_floor(ground, first, second)
        else:
            null = self._make(ground, f"null-{rung}", rung=rung, base=retrains.made[0].weights)
            more = against_retrain(ground, made, first, null)
            null.discard()
        return more | lira_of(ground, made, first, self._shadows[number])

    def _shadow_scores(self, ground: Ground) -> tuple[ShadowScores, ShadowScores]:
        """Scores of the shadow models on forgotten and held-out rows; shared by all mocks."""
        with self.bench.slot():
            forget, held_out = shadow_scores(
                self.bench.line, self.bench.spec.name, ground.forget, self.bench.held_out
            )
        return forget, held_out

    def _retrains(self, ground: Ground) -> _Retrains | None:
        """Two exact retrains of the ground's request; None if one diverged."""
        first, second = (
            self._make(ground, f"retrain-{number}", rung=self.last, reference=number)
            for number in range(2)
        )
        if first.tested is None or second.tested is None:
            return None
        return _Retrains((first, second), (first.tested, second.tested))

    def _make(self, ground: Ground, name: str, *, rung: int, **options: Any) -> Made:
        what = name.split("-", maxsplit=1)[0].replace("rung", self.bench.spec.ladder[rung].strategy)
        label = f"{ground.mock.kind}, draw {ground.mock.draw + 1}: {what}"

        def report(text: str, share: float) -> None:
            shown = f"{label}, {text}" if text else label
            self.bench.line.progress("audit", shown, self.done + share, self.total)

        self.bench.line.progress("audit", label)
        made = ground.make(name, report, rung=rung, **options)
        self.done += 1
        return made

    def _record(self, mocks: Sequence[Mock], rung: int, draws: Sequence[Draw]) -> Qualification:
        settings = self.bench.spec.ladder[rung]
        mocked = {"rows": [mock.rows for mock in mocks], "people": [mock.people for mock in mocks]}
        record = self.bench.line.ledger.qualify(
            model=self.bench.spec.name,
            version=self.bench.champion.version,
            dataset_ordinal=self.bench.version.ordinal,
            strategy=settings.strategy,
            settings=settings_digest(settings),
            request=mocks[0].kind,
            metrics={**mocked, "with_retrain": self.with_retrain, **summary(draws)},
            outcome=outcome_of(draws),
        )
        said = f"{record.request}: {record.strategy} → {record.outcome} (record {record.id})"
        self.bench.line.progress("audit", said)
        return record
