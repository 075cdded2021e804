"""Dataset versions: an immutable DVC version of `data/NAME/` and one git commit of its pointer.

Publishing is a list of steps, each of which can be run again: the files go into place, into
DVC's cache, to its remote, into one commit, and the tag, set last, says that all of it is done.
A run that was killed anywhere is finished by the same call again. The staged files stay until
the caller removes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from expunge.dataset import dvcrepo, publishing
from expunge.dataset.gitrepo import TRAILER, GitRepo
from expunge.dataset.publishing import (
    MD5,
    Publication,
    UnpublishableError,
    md5_in,
    tag_of,
)


@dataclass(frozen=True)
class Published:
    """One dataset version: DVC's md5 of the folder (`<32 hex>.dir`) and the commit."""

    md5: str
    commit: str


def publish(
    root: Path,
    dataset: str,
    staging: Path,
    *,
    key: str,
    message: str,
    replace_all: bool = False,
    git_remote: str | None = None,
) -> Published:
    """Make the staged files part of the next version of `dataset`, and return it.

    `staging` holds files by their path in the dataset's folder; `replace_all` removes the others.
    `key` names this effect: calling again with it returns the same version. With `git_remote`
    the branch and the tag are pushed.

    Raises `DirtyDatasetError`, `UnpublishableError`, `DetachedHeadError`, `VersionConflictError`
    (terminal); `StoreUnreachableError`, `DiskFullError`, `GitError` (the same call resumes).
    Staged files become read-only: they may share their bytes with the version.
    """
    done = find_published(root, dataset, key)
    if done is not None:
        return done
    git = GitRepo(root.resolve())
    git.branch()
    found = git.find_effect(key)
    if found is not None and not git.is_on_branch(found):
        raise UnpublishableError(
            f"Publishing {key!r} was left unfinished on another branch.",
            left=f"Commit {found[:12]} is as it was.",
            fix=f"git -C {root} switch BRANCH, the one that holds the commit, then run again",
        )
    with dvcrepo.open_dvc(git.root) as dvc:
        job = Publication(git, dvc, dataset, staging, key, message, replace_all, git_remote)
        if found is not None:
            job.commit, job.md5 = found, md5_in(git.content(found, job.pointer), dataset)
        for step in publishing.STEPS_BEFORE_COMMIT if found is None else ():
            step(job)
        for step in publishing.STEPS_AFTER_COMMIT:
            step(job)
    return Published(job.md5, job.commit)


def find_published(root: Path, dataset: str, key: str) -> Published | None:
    """The version that effect `key` made, if its publishing is complete."""
    git = GitRepo(root.resolve())
    commit = git.resolve(f"refs/tags/{tag_of(dataset, key)}")
    if commit is None or git.effect_of(commit) != key:
        return None
    return Published(md5_in(git.content(commit, f"data/{dataset}.dvc"), dataset), commit)


@dataclass(frozen=True)
class Recorded:
    """A version as git's history has it: the effect that made it, and when."""

    key: str
    md5: str
    commit: str
    at: datetime


def history(root: Path, dataset: str, after: str | None) -> tuple[Recorded, ...]:
    """The versions on this branch, oldest first; those since commit `after` where it is on it."""
    git = GitRepo(root.resolve())
    head, pointer = git.head(), f"data/{dataset}.dvc"
    if head is None:
        return ()
    since = f"{after}..HEAD" if after and git.is_on_branch(after) else "HEAD"
    form = f"%H %ct %(trailers:key={TRAILER},valueonly,separator=%x20)"
    listed = git.run("log", "--reverse", since, f"--format={form}", "--", pointer)
    found = [line.split() for line in listed.splitlines()]
    return tuple(
        Recorded(key, md5_in(git.content(commit, pointer), dataset), commit, _moment(seconds))
        for commit, seconds, key in (each for each in found if len(each) == 3)
    )


def _moment(seconds: str) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)


def checkout(root: Path, dataset: str, version: str, folder: Path) -> Path:
    """Make `folder` hold a past version, given by md5 or commit; `data/NAME` is not touched.

    Files may be hard links to DVC's cache: read them only. Raises `VersionMissingError` where
    bytes are neither in the cache nor on the remote.
    """
    root, folder = root.resolve(), folder.resolve()
    if folder.is_relative_to(root / "data"):
        raise UnpublishableError(
            f"{folder} is inside data/: a past version there would be taken for the current one.",
            fix="give a folder outside data/",
        )
    md5 = version if MD5.fullmatch(version) else _md5_at(GitRepo(root), dataset, version)
    left = f"data/{dataset} is as it was."
    with dvcrepo.open_dvc(root) as dvc, dvcrepo.translated("Restoring the version", left):
        folder.parent.mkdir(parents=True, exist_ok=True)
        dvcrepo.materialise(dvc, md5, folder)
    return folder


def _md5_at(git: GitRepo, dataset: str, revision: str) -> str:
    commit = git.resolve(revision)
    if commit is None:
        raise dvcrepo.VersionMissingError(
            f"{revision!r} is neither the md5 of a version nor a commit.",
            fix=f"`git log -- data/{dataset}.dvc` lists the versions",
        )
    return md5_in(git.content(commit, f"data/{dataset}.dvc"), dataset)
