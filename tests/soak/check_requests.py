"""No request is lost, and nothing is done twice: the ledger against itself, git and MLflow."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from tests.soak.findings import Findings
from tests.soak.site import Row, Site, Truth, git

Tables = Mapping[str, list[Row]]
ENDED = {"completed", "no_match", "already_erased", "denied", "cancelled"}
WAITING = {"pending", "on_hold", "blocked", "received"}
OPEN = {"claimed", "staged", "validated", "published"}


def check_lost(ledger: Tables, truth: Truth, found: Findings, *, at_rest: bool) -> None:
    """Every request that was taken in has ended, or is where a run would go on with it."""
    known = {row["id"]: row for row in ledger["requests"]}
    for request in truth.accepted:
        found.expect(request in known, "lost", f"{request} was accepted and is not in the ledger")
    for request in {*known} - {*truth.accepted}:
        found.add("lost", f"{request} is in the ledger and nobody filed it")
    batches = {row["id"]: row for row in ledger["batches"]}
    targets: dict[str, list[Row]] = {}
    for target in ledger["targets"]:
        targets.setdefault(target["request_id"], []).append(target)
        _check_target(ledger, target, batches, found)
    for request, row in known.items():
        states = {target["state"] for target in targets.get(request, ())}
        found.expect(states, "lost", f"{request} has no target")
        ended = states <= ENDED
        found.expect(
            ended == (row["state"] in ENDED), "lost", f"{request} says {row['state']} of {states}"
        )
        found.expect(ended or not at_rest, "lost", f"{request} is {row['state']} at rest")
    _check_history(ledger, found)
    if at_rest:
        for batch in batches.values():
            found.expect(batch["state"] not in OPEN, "lost", f"{batch['id']} is open at rest")
        for effect in ledger["effects"]:
            found.expect(effect["state"] == "done", "lost", f"{effect['key']} was never done")
        for lock in ledger["locks"]:
            found.expect(lock["holder"] is None, "lost", f"{lock['dataset']} is locked at rest")


def _check_target(ledger: Tables, target: Row, batches: Mapping[str, Row], found: Findings) -> None:
    """A target that has not ended can be gone on with; one that has is explained by an event."""
    name, state = f"target {target['id']} of {target['request_id']}", target["state"]
    batch = batches.get(target["batch_id"] or "")
    if state in WAITING:
        found.expect(batch is None, "lost", f"{name} is {state} and in batch {target['batch_id']}")
    if state == "claimed":
        found.expect(batch and batch["state"] in OPEN, "lost", f"{name} is in no open batch")
    if state == "erased_model_pending":
        owed = [row["state"] for row in ledger["settlements"] if row["target_id"] == target["id"]]
        found.expect({"pending", "held"} & {*owed}, "lost", f"{name} waits for no model")
    if state in ("pending", "claimed"):
        kept = [row for row in ledger["vault"] if row["target_id"] == target["id"]]
        found.expect(kept, "lost", f"{name} has no subject in the vault")
    if state == "completed":
        told = [
            event
            for event in ledger["events"]
            if event["kind"] == "completed" and event["request_id"] == target["request_id"]
        ]
        found.expect(told, "lost", f"{name} is completed by no event")


def _check_history(ledger: Tables, found: Findings) -> None:
    numbers = sorted(event["seq"] for event in ledger["events"])
    gaps = {*range(1, len(numbers) + 1)} ^ {*numbers}
    found.expect(not gaps, "lost", f"the history has gaps at {sorted(gaps)[:5]}")


def check_doubled(ledger: Tables, site: Site, found: Findings) -> None:
    """One event, one version, one commit and one tag for each thing that is done once."""
    events = ledger["events"]
    for kind in ("completed", "erased", "received"):
        of = [(e["request_id"], e["dataset"]) for e in events if e["kind"] == kind]
        found.once("doubled", of, f"{kind}:")
    settled = [
        (e["request_id"], e["dataset"], e["model"]) for e in events if e["kind"] == "settled"
    ]
    found.once("doubled", settled, "settled:")
    promoted = [(e["batch_id"], e["model"]) for e in events if e["kind"] == "promoted"]
    found.once("doubled", [one for one in promoted if one[0]], "promoted:")
    for kind in ("intended", "done"):
        keys = [e["payload"]["key"] for e in events if e["kind"] == kind]
        found.once("doubled", keys, f"{kind}:")
    concluded = [
        (e["batch_id"], e["payload"]["station"], e["payload"]["part"])
        for e in events
        if e["kind"] == "concluded"
    ]
    found.once("doubled", concluded, "concluded:")
    versions = [v["batch_id"] for v in ledger["dataset_versions"] if v["batch_id"]]
    found.once("doubled", versions, "published:")
    _check_commits(ledger, site, found)


def _check_commits(ledger: Tables, site: Site, found: Findings) -> None:
    """Each version of the ledger is one commit with one tag, and there are no others."""
    form = "--format=%H %(trailers:key=Expunge-Effect,valueonly,separator=%x20)"
    logged = [line.split(" ", 1) for line in git(site.root, "log", "HEAD", form).splitlines()]
    commits = {sha: effect.strip() for sha, effect in logged if effect.strip()}
    found.once("doubled", commits.values(), "committed:")
    known = {version["commit"] for version in ledger["dataset_versions"]}
    for sha in known - {*commits}:
        found.add("dataset", f"version {sha[:10]} is on no branch")
    done = {e["key"] for e in ledger["effects"] if e["state"] == "done"}
    for sha in {*commits} - known:
        if commits[sha] in done:
            found.add("doubled", f"commit {sha[:10]} of {commits[sha]} is no version")
    tags = Counter(git(site.root, "tag", "--list", "--format=%(objectname)").split())
    for sha in known:
        found.expect(tags[sha] == 1, "doubled", f"version {sha[:10]} has {tags[sha]} tags")


def open_batches(ledger: Tables) -> set[str]:
    """Batches that a run would go on with."""
    return {row["id"] for row in ledger["batches"] if row["state"] in OPEN}


def batch_in(name: str) -> str | None:
    """The batch that a file's name tells of."""
    told = re.search(r"b-\d{8}-[0-9a-f]{6}", name)
    return told[0] if told else None
