"""The validation suite, as code, run by Great Expectations on one row of facts.

Great Expectations writes the values it compares into its suites and results, so that it is only
ever shown aggregates; the set logic is in `facts`. Nothing is stored: the context is ephemeral.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from expunge.dataset.facts import Facts
from expunge.specs import DatasetSpec
from expunge.workspace import quiet_environment

if TYPE_CHECKING:
    from great_expectations.core.batch_definition import BatchDefinition
    from great_expectations.data_context.data_context.ephemeral_data_context import (
        EphemeralDataContext,
    )
    from great_expectations.expectations.expectation import Expectation as GXExpectation

_NONE_OF = {
    "unstaged_shards": "every shard with a claimed row is rewritten",
    "needless_shards": "no other shard is rewritten",
    "unreadable_shards": "every staged shard can be read",
    "claimed_rows_left": "no row of a claimed subject is left, in any role",
    "records_in_both": "no record is both erased and kept",
    "others_rows_lost": "other people's rows are all there, as they were",
    "rows_appeared": "no row appeared",
    "duplicate_records": "every record_id names one row",
    "misplaced_rows": "every row is in its subject's shard",
    "unsorted_rows": "rows are sorted by subject and record",
    "schema_changes": "the schema is as it was",
    "nulls": "no null in a required column",
    "non_finite": "no NaN or Inf in the features",
    "labels_out_of_range": "labels are in range",
    "stale_indexes": "indexes describe their shards",
    "stale_manifest": "the manifest counts the rows",
}


@dataclass(frozen=True)
class Expectation:
    """One expectation and what came of it."""

    name: str
    column: str
    """The fact it judges."""
    success: bool
    observed: int | float | str
    bound: str


@dataclass(frozen=True)
class Validation:
    """Verdict on a staged erasure."""

    success: bool
    expectations: tuple[Expectation, ...]

    @property
    def failed(self) -> tuple[Expectation, ...]:
        """Expectations that were not met."""
        return tuple(item for item in self.expectations if not item.success)

    def payload(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


@dataclass(frozen=True)
class _Rule:
    name: str
    column: str
    low: float | None = None
    high: float | None = None
    equals: str | None = None

    @property
    def bound(self) -> str:
        if self.equals:
            return f"= {self.equals}"
        if self.low is None:
            return f"<= {self.high:g}"
        return f">= {self.low:g}"

    def expectation(self) -> GXExpectation:
        from great_expectations.expectations.core.expect_column_max_to_be_between import (
            ExpectColumnMaxToBeBetween,
        )
        from great_expectations.expectations.core.expect_column_pair_values_to_be_equal import (
            ExpectColumnPairValuesToBeEqual,
        )

        if self.equals:
            return ExpectColumnPairValuesToBeEqual(column_A=self.column, column_B=self.equals)
        return ExpectColumnMaxToBeBetween(
            column=self.column, min_value=self.low, max_value=self.high
        )


def validate(spec: DatasetSpec, facts: Facts, *, confirmed: bool = False) -> Validation:
    """Judge the facts of a staged erasure.

    `confirmed`: an operator has agreed that a whole class, or everything, goes; the bounds on
    labels and sizes then do not apply. Sizes that were below their bound before are not asked
    for either: an erasure must not wait for other people's rows.
    """
    rules = [*_integrity(), *([] if confirmed else _sizes(spec, facts))]
    met = _run(rules, facts.columns())
    columns = facts.columns()
    results = tuple(
        Expectation(rule.name, rule.column, ok, columns[rule.column], rule.bound)
        for rule, ok in zip(rules, met, strict=True)
    )
    return Validation(all(met), results)


def _integrity() -> Iterator[_Rule]:
    yield _Rule("A1 = A0 - B0, by count", "rows_after", equals="rows_expected")
    yield _Rule("A1 = A0 - B0, by checksum", "checksum_after", equals="checksum_expected")
    for column, name in _NONE_OF.items():
        yield _Rule(name, column, high=0)


def _sizes(spec: DatasetSpec, facts: Facts) -> Iterator[_Rule]:
    bounds = spec.expectations
    if spec.task == "classification":  # a bin at the end of a range may lose its last row
        yield _Rule("every label keeps rows", "labels_lost", high=0)
    yield _Rule("the labels' distribution stays", "label_drift", high=bounds.max_label_drift)
    if facts.rows_before >= bounds.min_rows:
        yield _Rule("enough rows", "rows_after", low=bounds.min_rows)
    for role, before in facts.rows_by_role_before.items():
        if before >= bounds.min_rows_per_role:
            yield _Rule(f"enough rows of role {role}", f"rows_{role}", low=bounds.min_rows_per_role)


def _run(rules: list[_Rule], columns: dict[str, int | float | str]) -> list[bool]:
    """Whether each rule holds, by Great Expectations."""
    quiet_environment()
    import great_expectations as gx
    import pandas as pd  # type: ignore[import-untyped]

    batch = _definition().get_batch({"dataframe": pd.DataFrame([columns])})
    # Given at once: adding one by one compares each with every other.
    suite = gx.ExpectationSuite(
        name="staged-erasure", expectations=[rule.expectation() for rule in rules]
    )
    result = batch.validate(suite, result_format="BOOLEAN_ONLY")
    met = {_key(found.expectation_config): bool(found.success) for found in result.results}
    return [met[(rule.column, rule.equals, rule.low, rule.high)] for rule in rules]


@cache
def _definition() -> BatchDefinition[Any]:
    """What the suite reads; made once in a process, and it keeps no batch."""
    asset = _context().data_sources.add_pandas("facts").add_dataframe_asset("facts")
    return asset.add_batch_definition_whole_dataframe("staged")


def _context() -> EphemeralDataContext:
    """A context in memory, without the temporary docs site that the default one leaves behind."""
    import great_expectations as gx
    from great_expectations.data_context.types import base

    config = base.DataContextConfig(
        store_backend_defaults=base.InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        progress_bars=base.ProgressBarsConfig(globally=False),
        analytics_enabled=False,
    )
    return gx.get_context(mode="ephemeral", project_config=config)


def _key(config: Any) -> tuple[str, str | None, float | None, float | None]:
    kwargs = config.kwargs
    column = kwargs.get("column_A", kwargs.get("column"))
    return column, kwargs.get("column_B"), kwargs.get("min_value"), kwargs.get("max_value")
