"""DVC from Python, as far as dataset versions need it.

What always holds: DVC's own locks are taken, a lock file that a killed process left half written
is mended, DVC stays silent, and what it reports as an error, or only logs, becomes one of ours.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Any

from expunge.errors import ExpungeError, TerminalError, TransientError, is_no_room
from expunge.settings import redacted

_TEMPORARY = re.compile(r"\.[A-Za-z0-9_-]{22}\.tmp")
_OTHERS_SECONDS = 24 * 3600  # a cache or remote that other workspaces may write to
_LOGGERS = ("dvc", "dvc_data", "dvc_objects")


class DiskFullError(TransientError):
    """No room was left for a dataset version."""


class StoreUnreachableError(TransientError):
    """DVC's cache or remote did not take or give what was asked."""


class RemoteMissingError(TerminalError):
    """The workspace has no DVC remote that can be used."""


class VersionMissingError(TerminalError):
    """A dataset version, or part of it, is neither in the cache nor on the remote."""


class HostileVersionError(TerminalError):
    """A version whose listing names files outside its own folder."""


@contextmanager
def open_dvc(root: Path) -> Iterator[Any]:
    """The DVC repo at `root`, waiting for its lock where another process holds it."""
    from dvc.repo import Repo

    levels = {name: logging.getLogger(name).level for name in _LOGGERS}
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        with translated("Opening DVC", "The dataset is as it was."):
            opened = Repo(str(root), _wait_for_lock=True)
        with opened as repo:
            _mend_rwlock(repo)
            yield repo
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


@contextmanager
def translated(doing: str, left: str) -> Iterator[None]:
    """Turn what DVC, its storage clients or the disk raise into our errors."""
    from dvc.config import ConfigError

    try:
        yield
    except ExpungeError:
        raise
    except ConfigError as error:  # covers a remote that is not there at all
        raise RemoteMissingError(
            f"{doing} failed: {_said(error)}", left=left,
            fix="dvc remote add --default store URL, then run again",
        ) from error  # fmt: skip
    except Exception as error:  # storage clients raise what they like
        if is_no_room(error):
            raise DiskFullError(
                f"{doing} failed: the disk is full.", left=left,
                fix="free some space (`expunge doctor` shows how much there is), then run again",
            ) from error  # fmt: skip
        raise StoreUnreachableError(
            f"{doing} failed: {_said(error)}", left=left,
            fix="check the disk and the DVC remote (`expunge doctor`), then run again",
        ) from error  # fmt: skip


def add(repo: Any, folder: Path) -> dict[str, str]:
    """`dvc add` a folder; the md5 of each file by its path in the folder.

    DVC only logs a file that its cache could not take, so the cache is asked afterwards.
    """
    (stage,) = repo.add([str(folder)])
    files = names_in(stage.outs[0].obj)
    check_taken(repo, folder, files.values())
    return files


def check_taken(repo: Any, folder: Path, oids: Collection[str]) -> None:
    """See that the cache holds these files of `folder`.

    Raises:
        StoreUnreachableError: it does not.
    """
    wanted = set(oids)
    lost = wanted - set(repo.cache.local.oids_exist(list(wanted)))
    if lost:
        raise StoreUnreachableError(
            f"DVC's cache did not take {len(lost)} of {len(wanted)} files of {folder.name}.",
            left="The files are in place, not committed; the same run again resumes.",
            fix="check free space and permissions of the DVC cache, then run again",
        )


def push(repo: Any, pointer: Path, md5: str, fresh: Collection[str]) -> None:
    """`dvc push` what `pointer` names to the default remote, and see that it arrived.

    `fresh`: md5 of the files that the remote may not have had. DVC trusts its own index of the
    remote, which is wrong once objects were deleted there, so these are asked for.
    """
    repo.push(targets=[str(pointer)])
    wanted = {md5, *fresh}
    remote = repo.cloud.get_remote_odb()
    if not wanted - set(remote.oids_exist(list(wanted))):
        return
    from dvc_data.hashfile.hash_info import HashInfo
    from dvc_data.hashfile.transfer import transfer

    local = repo.cache.local
    transfer(local, remote, {HashInfo("md5", md5)}, cache_odb=local, shallow=False)
    lost = wanted - set(remote.oids_exist(list(wanted)))
    if lost:
        raise StoreUnreachableError(
            f"The DVC remote lacks {len(lost)} of {len(wanted)} new objects after the push.",
            left="The files are in place and in the cache, not committed.",
            fix="check the DVC remote (`expunge doctor`), then run again",
        )


def files_of(repo: Any, md5: str) -> dict[str, str]:
    """The md5 of each file of a version by its path, from the cache or else the remote."""
    return names_in(_tree(repo, md5))


def fetch(repo: Any, md5: str, files: Collection[str]) -> None:
    """Bring objects of version `md5` into the cache where they are not yet."""
    _pull(repo, md5, set(files))


def materialise(repo: Any, md5: str, folder: Path) -> None:
    """Make `folder` hold version `md5`, and nothing else."""
    from dvc.fs import localfs
    from dvc.repo import lock_repo
    from dvc_data.hashfile.checkout import checkout

    with lock_repo(repo):
        tree = _tree(repo, md5)
        _pull(repo, md5, set(names_in(tree).values()))
        checkout(str(folder), localfs, tree, repo.cache.local, force=True, state=repo.state)


def probe_remote(repo: Any) -> str:
    """Write, read and remove a small file on the default remote; the remote's name and path."""
    remote = repo.cloud.get_remote()
    fs, word = remote.fs, token_hex(8)
    path = fs.join(remote.path, f".expunge-doctor-{word}")
    fs.makedirs(remote.path, exist_ok=True)
    with fs.open(path, "wb") as file:
        file.write(word.encode())
    try:
        with fs.open(path, "rb") as file:
            if file.read() != word.encode():
                raise OSError(f"the remote at {remote.path} gave back something else")
    finally:
        fs.remove(path)
    return f"{remote.name} ({fs.unstrip_protocol(remote.path)})"


def bucket_versioning(repo: Any) -> str | None:
    """Whether the default remote's bucket keeps what is removed; None where it is not on S3."""
    remote = repo.cloud.get_remote()
    if remote.fs.protocol != "s3":
        return None
    bucket = remote.path.split("/")[0]
    try:
        told = remote.fs.fs.call_s3("get_bucket_versioning", Bucket=bucket)
    except OSError as error:
        return f"whether bucket {bucket} is versioned is not told ({_said(error)})"
    if told.get("Status") == "Enabled":
        return f"bucket {bucket} is versioned, so it keeps old versions of what is removed"
    return f"versioning of bucket {bucket} is {str(told.get('Status', 'off')).lower()}"


def sweep(repo: Any, folder: Path) -> None:
    """Remove temporary files that a killed DVC left: where it links files of `folder`, and in its
    cache and a remote on this disk, where they are copies of rows that no purge would find.
    """
    from dvc.repo import lock_repo

    with lock_repo(repo):  # so that none of them is another process's of this workspace
        for place in (folder, folder.parent):
            _sweep(place.glob(".*.tmp"))
        for odb in (repo.cache.local, repo.cloud.get_remote_odb()):
            if odb.fs.protocol == "local":
                below = Path(odb.path).is_relative_to(repo.root_dir)
                _sweep(Path(odb.path).glob("*/.*.tmp"), 0 if below else _OTHERS_SECONDS)


def _sweep(paths: Iterable[Path], seconds: float = 0) -> None:
    for path in paths:
        if _TEMPORARY.fullmatch(path.name) and time.time() - path.stat().st_mtime >= seconds:
            path.unlink(missing_ok=True)


def cached(repo: Any, oid: str) -> Path:
    """Where the local cache keeps an object."""
    return Path(repo.cache.local.oid_to_path(oid))


def _tree(repo: Any, md5: str) -> Any:
    from dvc_data.hashfile.hash_info import HashInfo
    from dvc_data.hashfile.tree import Tree
    from dvc_objects.errors import ObjectFormatError

    with suppress(FileNotFoundError, ObjectFormatError):
        return _within(Tree.load(repo.cache.local, HashInfo("md5", md5)), md5)
    _pull(repo, md5, {md5})
    return _within(Tree.load(repo.cache.local, HashInfo("md5", md5)), md5)


def _within(tree: Any, md5: str) -> Any:
    """The listing, if all of its files lie in the version's own folder.

    Its digest is right even so where the commit that names it is hostile.
    """
    for key, _, _ in tree:
        if any(part in {"", ".", ".."} or set(part) & set("/\\\0") for part in key):
            raise HostileVersionError(
                f"Version {md5} lists a file outside its own folder.",
                left="Nothing was written.",
                fix="find out who wrote that commit; go back to one that you trust",
            )
    return tree


def _pull(repo: Any, md5: str, wanted: set[str]) -> None:
    from dvc_data.hashfile.hash_info import HashInfo
    from dvc_data.hashfile.transfer import transfer

    local = repo.cache.local
    absent = wanted - set(local.oids_exist(list(wanted)))
    if not absent:
        return
    remote = repo.cloud.get_remote_odb()
    there = set(remote.oids_exist(list(absent)))
    if absent - there:
        raise VersionMissingError(
            f"Version {md5} cannot be restored: {len(absent - there)} of {len(wanted)} objects are "
            "neither in the cache nor on the DVC remote.",
            fix="a purged version is gone for good; otherwise check that `dvc remote list` names "
            "the remote which it was pushed to",
        )
    oids = {HashInfo("md5", oid) for oid in there}
    # Of an object store DVC believes what it gives, and whoever can write there could swap a shard;
    # told to verify, it drops such an object without a word.
    transfer(remote, local, oids, cache_odb=local, verify=True)
    lost = absent - set(local.oids_exist(list(absent)))
    if lost:
        raise StoreUnreachableError(
            f"The DVC remote did not give {len(lost)} objects of version {md5}, or gave others "
            "than their digests name.",
            left="Nothing was restored.",
            fix="check the DVC remote (`expunge doctor`), then run again",
        )


def names_in(tree: Any) -> dict[str, str]:
    """The md5 of each file of DVC's tree by its path."""
    return {"/".join(key): oid.value for key, _, oid in tree}


def _mend_rwlock(repo: Any) -> None:
    """Remove the lock list that a killed process left half written: DVC itself never does.

    Entries of dead processes in a list that can be read are released by DVC.
    """
    from dvc.lock import make_lock

    path = Path(repo.tmp_dir) / "rwlock"
    hardlink = repo.config["core"].get("hardlink_lock", False)
    with make_lock(f"{path}.lock", tmp_dir=repo.tmp_dir, hardlink_lock=hardlink):
        try:
            json.loads(path.read_text())
        except FileNotFoundError:
            return
        except ValueError:
            path.unlink()


def _said(error: Exception) -> str:
    lines = redacted(str(error)).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__
