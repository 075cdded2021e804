"""What can be wrong with a dataset's source or shards."""

from __future__ import annotations

from expunge.errors import TerminalError


class IngestError(TerminalError):
    """A source that cannot become a dataset version as it stands."""


class ColumnError(IngestError):
    """A column that is missing, has another type, or appears where it may not."""


class ValueRefusedError(IngestError):
    """A value that may not be there: null, NaN, out of range, of another width."""


class DuplicateRecordError(IngestError):
    """A `record_id` that names two rows."""


class RoleConflictError(IngestError):
    """A subject with two roles."""


class HeldOutError(IngestError):
    """Too few held-out subjects to judge a model by."""


class ShardError(TerminalError):
    """A shard or index that is absent, corrupt, or of another dataset."""
