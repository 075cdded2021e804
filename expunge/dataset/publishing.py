"""The steps of publishing, each of which can be run again after a kill anywhere.

Before the commit: the staged files go into place, into DVC's cache, to its remote. After it: the
user's index, the git remote, and the tag, which says that all of it is done.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from expunge.dataset import dvcdelta, dvcrepo
from expunge.dataset.gitrepo import Edit, GitRepo, with_content, with_lines
from expunge.errors import TerminalError, TransientError
from expunge.specs import checked_name

MD5 = re.compile(r"[0-9a-f]{32}\.dir")
_ATTEMPTS = 5


class DirtyDatasetError(TerminalError):
    """Files of the dataset differ from its last version without having been staged."""


class UnpublishableError(TerminalError):
    """What was asked for cannot become a version."""


@dataclass
class Publication:
    """One publishing under way: what was asked, and how far it has come."""

    git: GitRepo
    dvc: Any
    dataset: str
    staging: Path
    key: str
    message: str
    replace_all: bool
    git_remote: str | None
    last: str | None = None
    """md5 of the last version, whose files stay unless staged anew; None where none does."""
    md5: str = ""
    commit: str = ""
    fresh: set[str] = field(default_factory=set)

    @property
    def folder(self) -> Path:
        """The dataset's files in the workspace."""
        return self.git.root / "data" / self.dataset

    @property
    def pointer(self) -> str:
        """Path of the DVC pointer in git."""
        return f"data/{self.dataset}.dvc"

    @property
    def tag(self) -> str:
        """Name of the tag that says that this publishing is done."""
        return tag_of(self.dataset, self.key)

    @property
    def aside(self) -> Path:
        """Folder for files on their way, where neither git nor DVC looks."""
        return self.git.root / ".dvc" / "tmp" / f"expunge-{self.dataset}"

    def edits(self, pointer: bytes | None) -> dict[str, Edit]:
        """Our two paths: the pointer, and the line that keeps the files themselves out of git."""
        ignored = with_lines([f"/{self.dataset}"])
        return {self.pointer: with_content(pointer or b""), "data/.gitignore": ignored}


def place(job: Publication) -> None:
    """Put the staged files into the dataset's folder, each by one rename.

    A file there may be a read-only hard link to DVC's cache: it is replaced, never written to.
    """
    staged = _staged(job)
    left = f"Some staged files are in data/{job.dataset}; the same run again resumes."
    with dvcrepo.translated(f"Placing the files of {job.dataset}", left):
        _ignore(job)
        shutil.rmtree(job.aside, ignore_errors=True)  # of a process that was killed here
        dvcrepo.sweep(job.dvc, job.folder)
        for name in staged:
            _put(job, job.folder / name, job.staging / name, link=True)
        if job.replace_all:
            for name in _names(job.folder) - set(staged):
                (job.folder / name).unlink()


def add(job: Publication) -> None:
    """`dvc add` the folder, once it holds all of the last version that was not staged."""
    left = f"The staged files are in data/{job.dataset}, not committed; the same run again resumes."
    with dvcrepo.translated("Adding the dataset to DVC", left):
        _mend_pointer(job)
        kept = _complete(job)
        if job.last and dvcdelta.is_known(job.dvc, job.git.root / job.pointer, kept.values()):
            listing = dvcdelta.listed(job.dvc, job.folder)
            files = dvcrepo.names_in(listing[0])
            _refuse_changed(job, kept, files)
            fresh = {name: oid for name, oid in files.items() if name not in kept}
            dvcdelta.add(job.dvc, job.git.root / job.pointer, listing, fresh)
        else:
            files = dvcrepo.add(job.dvc, job.folder)
            _refuse_changed(job, kept, files)
        job.md5 = md5_in(_read(job), job.dataset)
        job.fresh = set(files.values()) - set(kept.values())


def _refuse_changed(job: Publication, kept: dict[str, str], files: dict[str, str]) -> None:
    """Only what was staged may differ from the last version."""
    changed = {name for name in kept if files.get(name) != kept[name]}
    changed |= set(files) - set(kept) - set(_staged(job))
    if changed:
        _restore_pointer(job)
        raise DirtyDatasetError(
            f"{len(changed)} file(s) of data/{job.dataset} were changed by hand since the "
            f"last version, such as {min(changed)}.",
            left="Nothing was committed; the staged files are kept.",
            fix=f"remove or restore these files in data/{job.dataset}, then run again",
        )


def push(job: Publication) -> None:
    """`dvc push` to the default remote; no commit may name what the remote lacks."""
    left = (
        f"The staged files are in data/{job.dataset} and in DVC's cache, not committed; "
        "the same run again resumes."
    )
    with dvcrepo.translated("Pushing to the DVC remote", left):
        if not (job.last and dvcdelta.push(job.dvc, job.md5, job.fresh, job.last)):
            dvcrepo.push(job.dvc, job.git.root / job.pointer, job.md5, job.fresh)


def commit(job: Publication) -> None:
    """One commit of our own paths, found again by its trailer."""
    job.commit = job.git.commit(job.edits(_read(job)), job.message, job.key)


def index(job: Publication) -> None:
    """Bring our paths up to date in the user's index; everything else there stays."""
    job.git.sync_index(job.edits(job.git.content("HEAD", job.pointer)))


def share(job: Publication) -> None:
    """Push the branch where a git remote is set; rebase our commits if it is ahead."""
    if job.git_remote is None:
        return
    for _ in range(_ATTEMPTS):
        if job.git.push(job.git_remote, job.tag, job.commit):
            return
        job.git.rebase_effects(job.git_remote)
        job.commit = job.git.find_effect(job.key) or job.commit
    raise TransientError(
        f"The git remote {job.git_remote!r} moved on before each of {_ATTEMPTS} pushes.",
        left="The dataset version is committed here and not pushed; the same run again resumes.",
        fix="run again",
    )


def tag(job: Publication) -> None:
    """Tag the commit: from here on the publishing is done."""
    job.git.tag(job.tag, job.commit)


Step = Callable[[Publication], None]
STEPS_BEFORE_COMMIT: tuple[Step, ...] = (place, add, push, commit)
STEPS_AFTER_COMMIT: tuple[Step, ...] = (index, share, tag)


def _staged(job: Publication) -> list[str]:
    staged = sorted(_names(job.staging))
    if job.replace_all and not staged:
        raise UnpublishableError(
            f"The staging folder of {job.dataset} is empty: replacing all would leave no data.",
            fix="run the ingest again",
        )
    return staged


def _names(folder: Path) -> set[str]:
    """Files by their path in `folder`."""
    walked = ((Path(base).relative_to(folder), names) for base, _, names in os.walk(folder))
    return {(base / name).as_posix() for base, names in walked for name in names}


def _put(job: Publication, target: Path, source: Path | bytes, *, link: bool = False) -> None:
    """Replace `target` by one rename, so that no reader, and no kill, sees a part of it."""
    job.aside.mkdir(parents=True, exist_ok=True)
    aside = job.aside / str(os.getpid())
    aside.unlink(missing_ok=True)
    if isinstance(source, bytes):
        aside.write_bytes(source)
    elif not (link and _linked(source, aside)):
        shutil.copyfile(source, aside)
    target.parent.mkdir(parents=True, exist_ok=True)
    aside.replace(target)
    aside.unlink(missing_ok=True)  # a rename onto another link of the same file does nothing


def _linked(source: Path, target: Path) -> bool:
    """A hard link where the file system has one: read-only, so that no one writes through it."""
    source.chmod(0o444)
    try:
        os.link(source, target)
    except OSError:
        return False
    return True


def _ignore(job: Publication) -> None:
    """Keep the files out of git before the first of them is there."""
    path = job.git.root / "data" / ".gitignore"
    old = path.read_bytes() if path.exists() else None
    new = with_lines([f"/{job.dataset}"])(old)
    if new != old:
        _put(job, path, new)


def _complete(job: Publication) -> dict[str, str]:
    """Restore files of the last version that are missing; what has to stay as it is, by name.

    A `dvc add` or `dvc checkout` that was killed may have removed a file that it was about to
    link again: adding the folder as it stands would lose its rows without a word.
    """
    committed = job.git.content("HEAD", job.pointer) if job.git.head() else None
    if committed is None or job.replace_all:
        return {}
    staged = set(_staged(job))
    job.last = md5_in(committed, job.dataset)
    kept = {n: oid for n, oid in dvcrepo.files_of(job.dvc, job.last).items() if n not in staged}
    folder, there = str(job.folder), os.path.exists  # a tenth of the time of `Path.exists`
    missing = {name: oid for name, oid in kept.items() if not there(f"{folder}/{name}")}
    dvcrepo.fetch(job.dvc, job.last, missing.values())
    for name, oid in missing.items():
        _put(job, job.folder / name, dvcrepo.cached(job.dvc, oid))
    return kept


def _mend_pointer(job: Publication) -> None:
    """Put back a pointer that a killed process left half written; DVC writes it in place."""
    path = job.git.root / job.pointer
    if path.exists():
        try:
            md5_in(path.read_bytes(), job.dataset)
        except UnpublishableError:
            _restore_pointer(job)


def _restore_pointer(job: Publication) -> None:
    path = job.git.root / job.pointer
    committed = job.git.content(job.git.head(), job.pointer)
    if committed is None:
        path.unlink(missing_ok=True)
    else:
        _put(job, path, committed)


def _read(job: Publication) -> bytes:
    return (job.git.root / job.pointer).read_bytes()


def tag_of(dataset: str, key: str) -> str:
    """Tag of an effect: `expunge/<dataset>/<slug>`, distinct for distinct keys."""
    slug = re.sub(r"[^A-Za-z0-9_-]+", "-", key).strip("-")
    if slug != key:
        slug = f"{slug}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"
    return f"expunge/{checked_name(dataset, 'dataset')}/{slug}"


def md5_in(pointer: bytes | None, dataset: str) -> str:
    """The md5 that a `.dvc` file names; an error where it is not a whole one of this dataset."""
    try:
        (out,) = yaml.safe_load(pointer or b"")["outs"]
        md5, path = out["md5"], out["path"]
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, KeyError, ValueError):
        md5 = path = ""
    if path != dataset or not MD5.fullmatch(str(md5)):
        raise UnpublishableError(
            f"data/{dataset}.dvc does not name a version of the dataset.",
            fix=f"git checkout -- data/{dataset}.dvc",
        )
    return str(md5)
