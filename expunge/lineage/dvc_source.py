"""MLflow's pointer to a dataset version: name, DVC md5 and git commit; nothing of its content.

Registered under the entry point group `mlflow.dataset_source`, so that any MLflow client with
expunge installed resolves it.
"""

from __future__ import annotations

from typing import Any

from mlflow.data.dataset_source import DatasetSource

from expunge.errors import TerminalError

_SCHEME = "expunge-dvc://"


class DvcDatasetSource(DatasetSource):  # type: ignore[misc]  # mlflow has no types for us
    """`expunge-dvc://NAME@COMMIT?md5=MD5`: one immutable version of one dataset."""

    def __init__(self, dataset: str, md5: str, commit: str, ordinal: int | None = None) -> None:
        self.dataset, self.md5, self.commit, self.ordinal = dataset, md5, commit, ordinal

    @staticmethod
    def _get_source_type() -> str:
        return "expunge_dvc"

    @property
    def uri(self) -> str:
        """One line that names the version."""
        return f"{_SCHEME}{self.dataset}@{self.commit}?md5={self.md5}"

    def load(self) -> Any:
        """Refused: a past version may hold people who were erased since."""
        raise TerminalError(
            f"{self.uri} is a pointer; expunge hands out rows only to its own stations.",
            fix=f"in the workspace: expunge trace dataset {self.dataset}",
        )

    @staticmethod
    def _can_resolve(raw_source: Any) -> bool:
        return isinstance(raw_source, str) and raw_source.startswith(_SCHEME)

    @classmethod
    def _resolve(cls, raw_source: Any) -> DvcDatasetSource:
        name, _, rest = str(raw_source).removeprefix(_SCHEME).partition("@")
        commit, _, md5 = rest.partition("?md5=")
        if not (name and commit and md5):
            raise TerminalError(
                f"{raw_source!r} does not name a dataset version.",
                fix=f"write {_SCHEME}NAME@COMMIT?md5=MD5",
            )
        return cls(name, md5, commit)

    def to_dict(self) -> dict[str, Any]:
        """The pointer as JSON values."""
        return {
            "uri": self.uri,
            "dataset": self.dataset,
            "md5": self.md5,
            "commit": self.commit,
            "ordinal": self.ordinal,
        }

    @classmethod
    def from_dict(cls, source_dict: dict[Any, Any]) -> DvcDatasetSource:
        """Undo `to_dict`."""
        return cls(
            source_dict["dataset"],
            source_dict["md5"],
            source_dict["commit"],
            source_dict.get("ordinal"),
        )
