"""The checker finds each violation that is planted in a finished workspace, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable

import pytest
import sqlalchemy as sa
import yaml

from tests.line.small import person
from tests.soak.check_bytes import OLD, SEALED
from tests.soak.check_dataset import erased_people
from tests.soak.check_models import REFUSED, client_of
from tests.soak.checker import check
from tests.soak.findings import Kind
from tests.soak.site import Site, Truth, tables

MODEL = "small-mlp"
NOWHERE = f".expunge/mlartifacts/{MODEL}/{'0' * 32}/artifacts/x"
Plant = Callable[[Site, str], None]
"""Does harm to a workspace; the text is the id of somebody who is erased."""


def test_a_finished_workspace_is_clean_and_what_stays_by_design_is_counted(
    site: Site, truth: Truth
) -> None:
    found = check(site, truth)
    assert not found.words()
    assert found.allowed[REFUSED] == 1
    assert found.allowed[SEALED] == 1
    assert found.allowed[OLD] > 1


def sql(*statements: str) -> Plant:
    """Change the ledger behind its back; the history's trigger is put aside."""

    def plant(site: Site, _: str) -> None:
        with sa.create_engine(site.ledger).begin() as connection:
            names = connection.exec_driver_sql(
                "SELECT name FROM sqlite_master WHERE type='trigger'"
            )
            for (name,) in names.all():
                connection.exec_driver_sql(f'DROP TRIGGER "{name}"')
            for statement in statements:
                connection.exec_driver_sql(statement)

    return plant


def again(kind: str) -> Plant:
    """The last event of a kind, told a second time."""
    columns = "at, kind, request_id, batch_id, dataset, model, payload"
    return sql(
        f"INSERT INTO events (seq, {columns}) SELECT (SELECT max(seq) + 1 FROM events), {columns} "
        f"FROM events WHERE kind = '{kind}' ORDER BY seq DESC LIMIT 1"
    )


def left(path: str, content: bytes = b"rows") -> Plant:
    """A file that nobody knows."""

    def plant(site: Site, _: str) -> None:
        file = site.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    return plant


def serve(version: str) -> Plant:
    """Move the alias by hand."""
    return lambda site, _: client_of(site).set_registered_model_alias(MODEL, "champion", version)


def copy_version(site: Site, _: str) -> None:
    """Register the champion's files once more."""
    client = client_of(site)
    one = client.get_model_version_by_alias(MODEL, "champion")
    client.create_model_version(MODEL, one.source, one.run_id, tags=one.tags)


def unfinished_run(site: Site, _: str) -> None:
    """A run that somebody began."""
    client = client_of(site)
    client.create_run(client.get_experiment_by_name(f"expunge/{MODEL}").experiment_id)


def second_commit(site: Site, _: str) -> None:
    """The last commit of the dataset once more."""
    message = "Again\n\nExpunge-Effect: ingest:small:1"
    who = ["-c", "user.name=x", "-c", "user.email=x@localhost"]
    command = ["git", "-C", str(site.root), *who, "commit", "--allow-empty", "-qm", message]
    subprocess.run(command, check=True)


def without_commit(site: Site, _: str) -> None:
    """The branch moved back behind the erasure."""
    subprocess.run(["git", "-C", str(site.root), "reset", "-q", "HEAD~1"], check=True)


def old_shards(site: Site, _: str) -> None:
    """The remote's objects of the new version replaced by those with erased people in them."""
    files = {}
    for number in ("HEAD~1", "HEAD"):
        command = ["git", "-C", str(site.root), "show", f"{number}:data/small.dvc"]
        pointer = subprocess.run(command, check=True, capture_output=True).stdout
        md5 = yaml.safe_load(pointer)["outs"][0]["md5"]
        tree = site.root / ".expunge/remote/files/md5" / md5[:2] / md5[2:]
        files[number] = tree
    files["HEAD"].chmod(0o644)
    files["HEAD"].write_bytes(files["HEAD~1"].read_bytes())


def broken_object(site: Site, _: str) -> None:
    """One byte of an object of the remote turned over."""
    name = next(path for path in (site.root / ".expunge/remote").rglob("*") if path.suffix == "")
    while name.is_dir():
        name = next(name.iterdir())
    name.chmod(0o644)
    name.write_bytes(name.read_bytes()[:-1] + b"?")


def lost_object(site: Site, _: str) -> None:
    """The remote's whole content gone but for the trees."""
    for path in (site.root / ".expunge/remote").rglob("*"):
        if path.is_file() and path.suffix != ".dir":
            path.unlink()


def file_too_many(site: Site, _: str) -> None:
    """A shard that is in no version."""
    shutil.copyfile(
        site.root / "data/small/shard-00000.parquet", site.root / "data/small/shard-00099.parquet"
    )


def told(path: str) -> Plant:
    """An erased person's id where people read."""
    return lambda site, person: left(path, f"failed for {person}\n".encode())(site, person)


def told_in_the_ledger(site: Site, person: str) -> None:
    """The same as the reason of a batch."""
    sql(f"UPDATE batches SET reason = '{person}'")(site, person)


_FAIL = 'outcomes SET payload = replace(payload, \'"outcome":"pass"\', \'"outcome":"{}"\')'
PLANTS: dict[str, tuple[Kind, Plant]] = {
    "a request vanishes": ("lost", sql("DELETE FROM targets WHERE id = 1", "DELETE FROM requests "
        "WHERE id NOT IN (SELECT request_id FROM targets)")),
    "a request falls back to pending": ("lost", sql("UPDATE targets SET state = 'pending' "
        "WHERE id = 1")),
    "a request says completed while its target waits": ("lost", sql("UPDATE targets SET "
        "state = 'erased_model_pending' WHERE id = 1")),
    "a claim stays in a batch that is over": ("lost", sql("UPDATE targets SET state = 'claimed' "
        "WHERE id = 1", "UPDATE requests SET state = 'claimed' WHERE id = "
        "(SELECT request_id FROM targets WHERE id = 1)")),
    "a request completes by no event": ("lost", sql("UPDATE events SET kind = 'complete' "
        "WHERE kind = 'completed'")),
    "a line of the history is missing": ("lost", sql("DELETE FROM events WHERE seq = 12")),
    "a batch is left open": ("lost", sql("UPDATE batches SET state = 'published'")),
    "an effect is never done": ("lost", sql("UPDATE effects SET state = 'intended' "
        "WHERE kind = 'report'")),
    "a lock stays": ("lost", sql("UPDATE locks SET holder = 'nobody'")),
    "a request completes twice": ("doubled", again("completed")),
    "a person is erased twice": ("doubled", again("erased")),
    "a settlement is paid twice": ("doubled", again("settled")),
    "a model is promoted twice": ("doubled", again("promoted")),
    "a station concludes twice": ("doubled", again("concluded")),
    "an effect is done twice": ("doubled", again("done")),
    "a batch publishes twice": ("doubled", second_commit),
    "a version is registered twice": ("doubled", copy_version),
    "a version is on no branch": ("dataset", without_commit),
    "the gate had refused": ("promoted", sql(f"UPDATE {_FAIL.format('fail')} "
        "WHERE station = 'gate'")),
    "the gate was inconclusive": ("promoted", sql(f"UPDATE {_FAIL.format('inconclusive')} "
        "WHERE station = 'gate'")),
    "there is no verdict": ("promoted", sql("DELETE FROM outcomes WHERE station = 'gate'")),
    "a refused candidate serves": ("promoted", serve("2")),
    "the old champion serves": ("promoted", serve("1")),
    "the champion saw erased people": ("promoted", sql("UPDATE model_versions "
        "SET clean_as_of = 1")),
    "the ledger does not know the champion": ("orphan", sql("DELETE FROM model_versions "
        "WHERE version = '3'")),
    "erased people are back": ("dataset", old_shards),
    "an object is broken": ("dataset", broken_object),
    "the remote lost objects": ("dataset", lost_object),
    "a shard is in no version": ("dataset", file_too_many),
    "staged files": ("orphan", left(".expunge/staging/b-20261125-abcdef/shard-00000.parquet")),
    "a job": ("orphan", left(".expunge/jobs/b-20261125-abcdef/job.json")),
    "sealed rows": ("orphan", left(".expunge/sealed/b-20261125-abcdef.sealed")),
    "sealed rows half written": ("orphan", left(".expunge/sealed/.b-20261125-abcdef.aside")),
    "a key of no batch": ("orphan", left(".expunge/keys/data-b-20261125-abcdef.key")),
    "a key half made": ("orphan", left(".expunge/keys/.data-b-20261125-abcdef.key.0123")),
    "a copy of older rows": ("orphan", left(f".expunge/scratch/small/{'0' * 32}/T-0.arrow")),
    "fetched artifacts": ("orphan", left(".expunge/scratch/mlflow-x/model.json")),
    "half a derived model": ("orphan", left(".expunge/derived/references-x.part/0.safetensors")),
    "an object in the cache": ("orphan", left(f".dvc/cache/files/md5/00/{'0' * 30}")),
    "an object half written": ("orphan", left(f".dvc/cache/files/md5/00/{'0' * 30}.x.tmp")),
    "an object on the remote": ("orphan", left(f".expunge/remote/files/md5/00/{'0' * 30}")),
    "a link half made": ("orphan", left("data/.abcdefghijklmnopqrstuv.tmp")),
    "a file on its way": ("orphan", left(".dvc/tmp/expunge-small/123")),
    "a lock of git": ("orphan", left(".git/index.lock")),
    "a temporary file": ("orphan", left("../tmp/expunge-x/index")),
    "an artifact of no run": ("orphan", left(NOWHERE)),
    "a run under way": ("orphan", unfinished_run),
    "an id in a log": ("told", told("../logs/server.log")),
    "an id in MLflow": ("told", told(NOWHERE)),
    "an id in Prefect": ("told", told(".expunge/prefect/prefect.db")),
    "an id in the ledger": ("told", told_in_the_ledger),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTS)
def test_what_is_planted_is_found(name: str, site: Site, truth: Truth) -> None:
    kind, plant = PLANTS[name]
    plant(site, min(erased_people(tables(site.ledger), truth)))
    found = check(site, truth)
    assert kind in {one.kind for one in found}, found.words()


def test_a_request_that_nobody_took_in_is_found(site: Site, truth: Truth) -> None:
    missing = Truth(truth.rows, {**truth.accepted, "r-0000000000000000": person(1)})
    assert {one.kind for one in check(site, missing)} == {"lost"}
