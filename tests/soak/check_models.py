"""No model is promoted without its gate: MLflow's registry against the ledger's verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.soak.check_requests import Tables, open_batches
from tests.soak.findings import Findings
from tests.soak.site import Row, Site

REFUSED = "refused candidates, kept as evidence"


def client_of(site: Site) -> Any:
    """MLflow's own client."""
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=site.mlflow, registry_uri=site.mlflow)


def check_models(ledger: Tables, site: Site, found: Findings, *, at_rest: bool) -> None:
    """Each promotion has a verdict that allows it, and the registry serves what it should."""
    outcomes = {(o["batch_id"], o["station"], o["part"]): o["payload"] for o in ledger["outcomes"]}
    promotions = [e for e in ledger["events"] if e["kind"] == "promoted" and e["batch_id"]]
    effects = {e["key"]: e for e in ledger["effects"]}
    for event in promotions:
        _check_promotion(event, ledger, outcomes, effects, found)
    client = client_of(site)
    versions = {(v.name, str(v.version)): v for v in client.search_model_versions()}
    _check_versions(ledger, versions, found)
    served = {
        model.name: str(model.aliases["champion"])
        for model in client.search_registered_models()
        if "champion" in model.aliases
    }
    _check_champions(ledger, versions, served, found, at_rest=at_rest)


def _check_promotion(
    event: Row,
    ledger: Tables,
    outcomes: Mapping[tuple[str, str, str], Any],
    effects: Mapping[str, Row],
    found: Findings,
) -> None:
    """The attempt whose candidate was promoted passed, criterion by criterion."""
    batch, model, version = event["batch_id"], event["model"], event["payload"]["version"]
    name = f"{model} version {version} of {batch}"
    parts = [
        key.removeprefix(f"register:{batch}:")
        for key, effect in effects.items()
        if key.startswith(f"register:{batch}:{model}/")
        and (effect["result"] or {}).get("version") == version
    ]
    if len(parts) != 1:
        found.add("promoted", f"{name} was registered by {len(parts)} attempts")
        return
    verdict = outcomes.get((batch, "gate", parts[0]))
    if verdict is None:
        found.add("promoted", f"{name} has no verdict")
        return
    each = {criterion["outcome"] for criterion in verdict["criteria"]}
    passed = verdict["outcome"] == "pass" and each == {"pass"}
    found.expect(passed or _qualified(verdict, ledger), "promoted", f"{name} was not let through")


def _qualified(verdict: Mapping[str, Any], ledger: Tables) -> bool:
    """Whether an audit that passed spoke for a candidate on which the rows did not decide."""
    cited = verdict.get("qualification")
    if cited is None or verdict["outcome"] != "inconclusive":
        return False
    return any(row["id"] == cited and row["outcome"] == "pass" for row in ledger["qualifications"])


def _check_versions(ledger: Tables, versions: Mapping[Any, Any], found: Findings) -> None:
    """The ledger knows every version, and each has the effect that made it to itself."""
    found.once("doubled", [v.tags.get("expunge.effect") for v in versions.values()], "registered:")
    known = {(row["model"], row["version"]) for row in ledger["model_versions"]}
    unfinished = open_batches(ledger)
    for key, version in versions.items():
        effect = [
            row
            for row in ledger["effects"]
            if row["key"] == version.tags.get("expunge.effect")
            and (row["result"] or {}).get("version") == key[1]
        ]
        if key in known or version.tags.get("expunge.batch_id") in unfinished:
            continue
        if effect and version.tags.get("expunge.gate") != "pass":
            found.allowed[REFUSED] += 1
        else:
            found.add("orphan", f"version {key[1]} of {key[0]} is not in the ledger")
    for model, version in known - {*versions}:
        found.add("promoted", f"version {version} of {model} is not in the registry")


def _check_champions(
    ledger: Tables,
    versions: Mapping[Any, Any],
    served: Mapping[str, str],
    found: Findings,
    *,
    at_rest: bool,
) -> None:
    """What is served is the ledger's champion, free of everyone erased unless it is held."""
    champions = {row["model"]: row["version"] for row in ledger["champions"]}
    if at_rest:
        found.expect(champions == served, "promoted", f"champions {champions}, served {served}")
    made = {(row["model"], row["version"]): row for row in ledger["model_versions"]}
    owing = {s["model"] for s in ledger["settlements"] if s["state"] in ("pending", "held")}
    for model, version in served.items():
        tags = versions[model, version].tags
        judged = tags.get("expunge.kind") == "trained" or tags.get("expunge.gate") == "pass"
        qualified = any(
            outcome["station"] == "gate" and outcome["payload"].get("qualification") is not None
            for outcome in ledger["outcomes"]
            if outcome["batch_id"] == tags.get("expunge.batch_id")
        )
        found.expect(judged or qualified, "promoted", f"{model} serves refused version {version}")
        row = made.get((model, version))
        erased = _erasures(ledger, model)
        if row and at_rest and model not in owing:
            clean = row["clean_as_of"] >= max(erased, default=0)
            found.expect(clean, "promoted", f"{model} version {version} holds erased people")


def _erasures(ledger: Tables, model: str) -> list[int]:
    """Versions in which rows went that the model had learned from."""
    learned = {
        s["target_id"]
        for s in ledger["settlements"]
        if s["model"] == model and s["state"] != "not_needed"
    }
    batches = {t["batch_id"] for t in ledger["targets"] if t["id"] in learned}
    return [v["ordinal"] for v in ledger["dataset_versions"] if v["batch_id"] in batches]
