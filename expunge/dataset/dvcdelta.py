"""The next version of a folder whose last one DVC knows: what it costs follows what changed.

`dvc add` and `dvc push` walk through every object of a folder several times, in caches, indexes
and on the remote. Here DVC's state says which files changed; only these are hashed, taken into
the cache and sent. The pointer, the folder's object and the cache are those that `dvc add` makes.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from expunge.dataset.dvcrepo import check_taken


def is_known(repo: Any, pointer: Path, oids: Iterable[str]) -> bool:
    """Whether `pointer` is one of ours, and the cache has all of the last version's files."""
    cache = repo.cache.local
    if not all(os.path.exists(cache.oid_to_path(oid)) for oid in oids):  # noqa: PTH110
        return False
    return pointer.exists() and _out(repo, pointer).hash_name == "md5"


def listed(repo: Any, folder: Path) -> tuple[Any, Any]:
    """DVC's tree of a folder and its size; files that DVC's state does not know are hashed."""
    from dvc.fs import localfs
    from dvc_data.hashfile.build import build

    ignore, cache = repo.dvcignore, repo.cache.local
    _, meta, tree = build(cache, str(folder), localfs, "md5", dry_run=True, ignore=ignore)
    return tree, meta


def add(repo: Any, pointer: Path, listing: tuple[Any, Any], fresh: Mapping[str, str]) -> None:
    """Take the files of `fresh` (md5 by name) into the cache, then the folder; write the pointer.

    A file shares its bytes with the cache where the cache's link types allow it.

    Raises:
        StoreUnreachableError: the cache lacks one of them afterwards.
    """
    from dvc.repo import lock_repo
    from dvc.stage.decorators import rwlocked
    from dvc_data.hashfile.db import add_update_tree

    @rwlocked(write=["outs"])  # type: ignore[untyped-decorator]
    def put(stage: Any) -> None:
        (out,) = stage.outs
        tree, meta = listing
        _take(repo, Path(out.fs_path), fresh)
        add_update_tree(out.cache, tree)
        out.obj, out.hash_info, out.meta, out.files = tree, tree.hash_info, meta, None
        repo.state.save_link(out.fs_path, out.fs)
        stage.dump()

    with lock_repo(repo):
        put(_out(repo, pointer).stage)


def push(repo: Any, md5: str, fresh: Collection[str], last: str) -> bool:
    """Send `fresh` and then folder `md5` to the default remote, which has folder `last`.

    DVC writes a folder's object after its files, so that where `last` is, its files are. False
    where it is not, or something did not arrive: `dvc push` has to look at every object then.
    """
    from dvc_data.hashfile.hash_info import HashInfo
    from dvc_data.hashfile.transfer import transfer

    local, remote = repo.cache.local, repo.cloud.get_remote_odb()
    if not remote.oids_exist([last]):
        return False
    wanted = {HashInfo("md5", oid) for oid in {md5, *fresh}}
    return not transfer(local, remote, wanted, cache_odb=local).failed


def _out(repo: Any, pointer: Path) -> Any:
    (out,) = repo.stage.load_one(str(pointer)).outs
    return out


def _take(repo: Any, folder: Path, fresh: Mapping[str, str]) -> None:
    from dvc.fs import localfs

    cache, paths = repo.cache.local, [str(folder / name) for name in fresh]
    oids = list(fresh.values())
    cache.add(paths, localfs, oids, hardlink="hardlink" in cache.cache_types)
    check_taken(repo, folder, oids)
    for path, oid in zip(paths, oids, strict=True):
        if cache.cache_types[0] != "copy" and not Path(path).samefile(cache.oid_to_path(oid)):
            _link(repo, path, oid)


def _link(repo: Any, path: str, oid: str) -> None:
    """Link a file to the cache as DVC does; `publishing` restores it if we are killed between."""
    from dvc.fs import localfs
    from dvc_data.hashfile.checkout import checkout

    cache = repo.cache.local
    checkout(path, localfs, cache.get(oid), cache, relink=True, force=True, state=repo.state)
