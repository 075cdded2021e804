"""`expunge train`, `expunge adopt` and `expunge model`: governed models and their versions."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from expunge.cli.command import command
from expunge.cli.output import day, facts, plural, print_json, print_parts, short, table
from expunge.cli.session import Session

if TYPE_CHECKING:
    from expunge.line import Adopted, Trained
    from expunge.requests import Ledger, ModelVersion
    from expunge.specs import ModelSpec

app = typer.Typer(no_args_is_help=True, help="Governed models and their versions.")

ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", show_default=False)]
VersionArgument = Annotated[str, typer.Argument(metavar="VERSION", show_default=False)]


def register(root: typer.Typer) -> None:
    """`expunge train` and `expunge adopt`."""
    command(root, reads_json=True)(train)
    command(root, reads_json=True)(adopt)


def train(session: Session, model: ModelArgument) -> None:
    """Train a governed model by its recipe and make it champion."""
    with session.line() as line:
        from expunge.line import train as train_model

        trained = train_model(line, model)
    if session.json:
        print_json(_told(trained))
        return
    session.out.print(f"{trained.model}: version {trained.version} is champion.")
    pairs = [
        (
            "trained on",
            f"{plural(trained.rows, 'row')} of version {short(trained.dataset_version)}",
        ),
        (trained.answers.title, trained.answers.words),
        ("seconds", f"{trained.seconds:.1f}"),
        ("MLflow run", trained.run_id),
    ]
    session.out.print(facts(pairs))


def adopt(
    session: Session,
    model: ModelArgument,
    *,
    registered: Annotated[
        str | None, typer.Option("--from", metavar="NAME", help="Its name in the registry.")
    ] = None,
    version: Annotated[str | None, typer.Option(help="Its version; the champion.")] = None,
    weights: Annotated[
        str | None, typer.Option(metavar="PATH", help="Its .safetensors file, if it has several.")
    ] = None,
    dataset_version: Annotated[
        int | None, typer.Option(min=1, metavar="NUMBER", help="What it was trained on.")
    ] = None,
) -> None:
    """Govern a champion that was trained elsewhere and stands in the registry."""
    with session.line() as line:
        from expunge.line import adopt as adopt_model

        adopted = adopt_model(
            line,
            model,
            registered=registered,
            version=version,
            weights=weights,
            dataset_version=dataset_version,
        )
    if session.json:
        print_json(_told(adopted))
        return
    session.out.print(f"{adopted.model}: version {adopted.version} is champion.")
    pairs = [
        ("adopted from", adopted.adopted_from),
        (
            "trained on",
            f"{plural(adopted.rows, 'row')} of version {short(adopted.dataset_version)}",
        ),
        (adopted.answers.title, adopted.answers.words),
        ("MLflow run", adopted.run_id),
    ]
    session.out.print(facts(pairs))
    if adopted.doubt:
        session.out.print(f"\n{adopted.doubt}", soft_wrap=True)


def _told(made: Trained | Adopted) -> dict[str, Any]:
    """Fields by name, levels among them as MLflow has them: `train_accuracy`, or `train_error`."""
    fields = asdict(made)
    del fields["answers"]
    return {**fields, "task": made.answers.task, **made.answers.metrics()}


@command(app)
def rollback(session: Session, model: ModelArgument, version: VersionArgument) -> None:
    """Make an older version the champion; never one that holds erased people."""
    with session.line() as line:
        from expunge.line import rollback as roll_back

        before = roll_back(line, model, version)
    session.out.print(f"{model}: champion is version {version}, before {before or 'none'}.")


@command(app, "list", reads_json=True)
def list_models(
    session: Session,
    versions: Annotated[bool, typer.Option("--versions", help="Every version of each.")] = False,
) -> None:
    """Governed models: champion, rollback floor, debts."""
    specs = session.workspace().models()
    with session.ledger() as ledger:
        found = [_model_json(ledger, spec) for spec in specs]
    if session.json:
        print_json(found)
        return
    rows = table("model", "dataset", "champion", "made by", "edits", "floor", "debts")
    for model in found:
        newest = model["champion"] or {}
        rows.add_row(
            model["name"],
            model["dataset"],
            newest.get("version", "none"),
            _made_by(newest),
            str(newest.get("edits", "")),
            model["floor"] or "-",
            plural(len(model["debts"]), "batch", "batches") if model["debts"] else "none",
        )
    if not found:
        session.out.print("No model spec in models/.")
        return
    print_parts(
        session.out, rows, *(_versions(model) for model in found if versions and model["versions"])
    )


def _model_json(ledger: Ledger, spec: ModelSpec) -> dict[str, Any]:
    champion = ledger.champion(spec.name)
    return {
        "name": spec.name,
        "dataset": spec.dataset,
        "champion": asdict(champion) if champion else None,
        "floor": ledger.floor(spec.name),
        "debts": list(ledger.debts(spec.name)),
        "versions": [_version_json(ledger, each) for each in ledger.model_versions(spec.name)],
    }


def _version_json(ledger: Ledger, version: ModelVersion) -> dict[str, Any]:
    return asdict(version) | {"may_serve": ledger.may_serve(version.model, version.version)}


def _made_by(version: dict[str, Any]) -> str:
    kind, strategy = version.get("kind"), version.get("strategy")
    return f"{kind} ({strategy})" if strategy and kind == "unlearned" else kind or ""


def _versions(model: dict[str, Any]) -> Any:
    rows = table("version", "made", "by", "from", "data", "serves", title=model["name"])
    for version in model["versions"]:
        rows.add_row(
            version["version"],
            day(version["created_at"]),
            _made_by(version),
            version["parent"] or "-",
            f"version {version['dataset_ordinal']}",
            "may" if version["may_serve"] else "never",
        )
    return rows
