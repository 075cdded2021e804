"""Rollback: move the champion alias to an older version, never below the rollback floor."""

from __future__ import annotations

from expunge.errors import TerminalError
from expunge.line.context import Line


class RollbackFloorError(TerminalError):
    """The version holds rows of people who were erased since."""


def rollback(line: Line, model: str, version: str) -> str:
    """Make `version` the champion of `model`; returns the version that it replaces."""
    spec = line.workspace.model(model)
    with line.lock(spec.dataset) as fence:
        known = [known.version for known in line.ledger.model_versions(model) if known.promoted_at]
        if version not in known:
            raise TerminalError(
                f"Version {version} of {model!r} was never champion; "
                f"{', '.join(known) or 'none'} were.",
                fix=f"expunge trace model {model}",
            )
        if not line.ledger.may_serve(model, version):
            floor = line.ledger.floor(model)
            raise RollbackFloorError(
                f"Version {version} of {model!r} holds rows of people who were erased since.",
                left="The champion is as it was.",
                fix=f"roll back to version {floor} or later" if floor else f"expunge train {model}",
            )
        before = line.registry.champion(model)
        line.registry.promote(model, version, before)
        line.ledger.record_promotion(fence, model, version)
    return before or ""
