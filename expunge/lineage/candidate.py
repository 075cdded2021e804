"""What is registered: one trained model, where it comes from, and what was measured on it.

A `Candidate` holds aggregate numbers, digests and pictures; no row, no subject. `SavedModel` is
the small JSON beside the weights from which the next unlearning rebuilds the network: factory,
arguments and source digest, in place of a pickle. `SavedModel.from_json(saved.to_json()) == saved`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from expunge.errors import TerminalError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import nn

Kind = Literal["trained", "unlearned", "retrained"]
Context = Literal["training", "retain", "forget"]
WEIGHTS_FILE = "weights.safetensors"
MODEL_FILE = "model.json"
_FORMAT = 1


@dataclass(frozen=True)
class FactoryReference:
    """How the network is built: `package.module:callable` or `FILE.py:callable`, its arguments,
    and the digest of the source that built this one.
    """

    reference: str
    args: Mapping[str, Any]
    source_digest: str


@dataclass(frozen=True)
class DatasetInput:
    """One dataset version that a model was made from, and how many rows of it for what.

    `md5` is DVC's, `<32 hex>.dir`: 36 characters, the longest digest MLflow stores.
    """

    name: str
    md5: str
    commit: str
    ordinal: int
    rows: Mapping[Context, int]

    @property
    def version(self) -> str:
        """The version as people say it: `digits@3`."""
        return f"{self.name}@{self.ordinal}"


@dataclass(frozen=True)
class Candidate:
    """A model to register. The first of `datasets` is the version that it is a model of.

    `effect_key` is the deterministic key of the intent. `weights` is a safetensors file;
    `input_shape` is without the batch dimension. `curves` hold one value per epoch. `figures` are
    PNG bytes or matplotlib figures by file name, `artifacts` JSON values by file name (`.png` and
    `.json` are added). `title` names the run; `description`, Markdown, is what people read first.
    """

    effect_key: str
    model: str
    kind: Kind
    module: nn.Module = field(repr=False)
    weights: Path
    factory: FactoryReference
    input_shape: tuple[int, ...]
    datasets: tuple[DatasetInput, ...]
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    metric_table: Sequence[Mapping[str, Any]] = field(default=(), repr=False)
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict, repr=False)
    parent: str | None = None
    batch_id: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    figures: Mapping[str, Figure | bytes] = field(default_factory=dict, repr=False)
    artifacts: Mapping[str, Any] = field(default_factory=dict, repr=False)
    title: str = ""
    description: str = ""

    @property
    def run_name(self) -> str:
        """The title, or the kind, and the dataset version that it is a model of."""
        version = self.datasets[0].version
        return f"{self.title} ({version})" if self.title else f"{self.kind} {version}"

    @property
    def all_tags(self) -> dict[str, str]:
        """The caller's tags and ours, which win."""
        version = self.datasets[0]
        ours = {
            "expunge.effect": self.effect_key,
            "expunge.kind": self.kind,
            "expunge.dataset_version": version.version,
            "expunge.dataset_md5": version.md5,
            "expunge.batch_id": self.batch_id,
            "expunge.parent": self.parent,
        }
        return {**self.tags, **{name: value for name, value in ours.items() if value is not None}}


@dataclass(frozen=True)
class Registered:
    """A model version and the run that it was logged in."""

    model: str
    version: str
    run_id: str


@dataclass(frozen=True)
class SavedModel:
    """`model.json`: what is needed, beside the weights, to rebuild the network."""

    model: str
    kind: Kind
    factory: FactoryReference
    input_shape: tuple[int, ...]
    weights_sha256: str
    parent: str | None = None
    batch_id: str | None = None

    @classmethod
    def of(cls, candidate: Candidate) -> SavedModel:
        """Describe a candidate whose weights are on disk."""
        return cls(
            model=candidate.model,
            kind=candidate.kind,
            factory=candidate.factory,
            input_shape=tuple(candidate.input_shape),
            weights_sha256=sha256(candidate.weights),
            parent=candidate.parent,
            batch_id=candidate.batch_id,
        )

    def to_json(self) -> str:
        """Indented JSON, keys sorted, so that equal models give equal bytes."""
        value = {"format": _FORMAT, **asdict(self)}
        return json.dumps(value, indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> SavedModel:
        """Parse what `to_json` wrote; TerminalError for another format."""
        try:
            value = json.loads(text)
            known = value.pop("format") == _FORMAT
            shape = tuple(value.pop("input_shape"))
            factory = FactoryReference(**value.pop("factory"))
            saved = cls(**value, factory=factory, input_shape=shape)
        except (ValueError, KeyError, TypeError, AttributeError):
            known = False
        if not known:
            raise TerminalError(
                f"{MODEL_FILE} is not one that this release of expunge can read.",
                fix="restore the model version's artifacts, or retrain: expunge train MODEL",
            )
        return saved

    @classmethod
    def read(cls, folder: Path) -> SavedModel:
        """Read `model.json` in `folder` and check the weights beside it against their digest."""
        saved = cls.from_json((folder / MODEL_FILE).read_text(encoding="utf-8"))
        if sha256(folder / WEIGHTS_FILE) != saved.weights_sha256:
            raise TerminalError(
                f"The weights of a version of {saved.model!r} do not match their digest.",
                fix="restore the model version's artifacts, or retrain: expunge train MODEL",
            )
        return saved


def sha256(path: Path) -> str:
    """SHA-256 of a file, hex, read in chunks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
