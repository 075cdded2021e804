"""A report as one HTML file: no network, no script, every picture inside it.

Equal reports and pictures give equal pages. Everything that is not ours is escaped.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

from expunge.lineage import style
from expunge.report import charts, numbers, words
from expunge.report.value import Report, RungPart

if TYPE_CHECKING:
    from jinja2 import Environment

Pictures: TypeAlias = Mapping[str, Mapping[str, bytes]]
"""PNG files of the candidates' plots: by MLflow run id, then by file name."""

PLOTS: Mapping[str, tuple[str, str]] = {
    "scores.png": (
        "Scores of forgotten and held-out rows",
        "Where the two humps lie on each other, the model treats forgotten people like people it "
        "never saw.",
    ),
    "roc.png": (
        "The membership attack on hard rows",
        "On the diagonal an attacker can only guess. The left end, on a log axis, is an attacker "
        "who must almost never be wrong.",
    ),
    "accuracy.png": (
        "Accuracy before and after",
        "On forgotten rows it should fall to the dashed line, elsewhere it should stay.",
    ),
    "error.png": (
        "Mean absolute error before and after",
        "In units of the label. On forgotten rows it should rise to the dashed line, elsewhere it "
        "should stay.",
    ),
    "degree.png": (
        "Unlearning degree",
        "Reported beside its controls, and judged by nobody.",
    ),
    "sparsity.png": ("Parameters changed, by layer", "Which weights the strategy touched."),
    "perturbed.png": (
        "Perturbed rows",
        "Rows of held-out people, not of those who are forgotten.",
    ),
}
"""Plots that a page shows, in this order, with a title and how to read them."""


def page(report: Report, pictures: Pictures, *, mlflow: str | None = None) -> str:
    """The report as HTML; `mlflow` is the address of a server's pages, None without a server."""
    return (
        _environment()
        .get_template("page.html")
        .render(
            report=report,
            pictures={run: dict(_shown(found)) for run, found in pictures.items()},
            mlflow=mlflow.rstrip("/") if mlflow else None,
            total=sum(report.seconds.values()),
        )
    )


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("expunge.report"),
        autoescape=True,
        undefined=StrictUndefined,
    )
    environment.globals |= {
        "charts": charts,
        "numbers": numbers,
        "style": style,
        "words": words,
        "settings": settings,
    }
    return environment


def settings(rung: RungPart) -> str:
    """A rung's settings on one line: `fraction 0.05, noise additive, … epochs 2, batch size 64`."""
    return ", ".join(f"{_word(name)} {_word(value)}" for name, value in rung.settings.items())


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value).replace("_", " ")


def _shown(files: Mapping[str, bytes]) -> list[tuple[str, tuple[str, str, str]]]:
    """Source, title and caption by file name, of the plots that there are."""
    return [
        (name, (_inline(files[name]), title, caption))
        for name, (title, caption) in PLOTS.items()
        if name in files
    ]


def _inline(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
