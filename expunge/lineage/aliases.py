"""Which version serves: the aliases `champion`, `candidate` and `withdrawn`."""

from __future__ import annotations

from dataclasses import dataclass

from expunge.lineage.access import Access
from expunge.lineage.connection import ChampionMovedError, missing, mlflow_errors

CHAMPION = "champion"
CANDIDATE = "candidate"
WITHDRAWN = "withdrawn"


@dataclass(frozen=True)
class Aliases(Access):
    """Reading and moving aliases; every move is idempotent."""

    def champion(self, model: str) -> str | None:
        """Version that the line works from: alias `champion`, or the withdrawn one, or None."""
        return self.alias(model, CHAMPION) or self.alias(model, WITHDRAWN)

    def alias(self, model: str, alias: str) -> str | None:
        """Version that an alias points to, or None."""
        from mlflow.exceptions import MlflowException

        with mlflow_errors(f"read alias {alias!r} of {model!r}"):
            try:
                return str(self.client.get_model_version_by_alias(model, alias).version)
            except MlflowException as error:
                if not missing(error) and not self._hidden(model, error):
                    raise
        return None

    def set_alias(self, model: str, alias: str, version: str) -> None:
        """Point an alias at a version."""
        self._version(model, version)
        with mlflow_errors(f"set alias {alias!r} of {model!r}"):
            self.client.set_registered_model_alias(model, alias, version)

    def set_candidate(self, model: str, version: str) -> None:
        """Point alias `candidate` at a version."""
        self.set_alias(model, CANDIDATE, version)

    def promote(self, model: str, version: str, expected: str | None) -> None:
        """Make `version` the champion, if the champion still is `expected`.

        Idempotent where it already is the champion. MLflow cannot compare and set in one step:
        the dataset's lock keeps our own writers apart, this comparison finds everyone else.
        """
        current = self.champion(model)
        if current not in (version, expected):
            raise ChampionMovedError(
                f"The champion of {model!r} is version {current}, not {expected}: someone "
                "promoted meanwhile.",
                left=f"Version {version} stays registered, and version {current} the champion.",
                fix="run the batch again: the new champion is unlearned",
                found=current,
            )
        if self.alias(model, CHAMPION) != version:
            self.set_alias(model, CHAMPION, version)
        self._clear_alias(model, WITHDRAWN)
        if self.alias(model, CANDIDATE) == version:
            self._clear_alias(model, CANDIDATE)

    def withdraw(self, model: str) -> None:
        """Stop serving the champion: `models:/NAME@champion` finds nothing until a promotion.

        Alias `withdrawn` keeps the version for the next batch to unlearn. Idempotent.
        """
        version = self.alias(model, CHAMPION)
        if version is not None:
            self.set_alias(model, WITHDRAWN, version)
            self._clear_alias(model, CHAMPION)

    def _clear_alias(self, model: str, alias: str) -> None:
        if self.alias(model, alias) is not None:
            with mlflow_errors(f"clear alias {alias!r} of {model!r}"):
                self.client.delete_registered_model_alias(model, alias)
