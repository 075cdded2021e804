"""The workspace's git, as far as publishing needs it: our own paths, and nothing of the user's.

Commits are built with plumbing from HEAD's tree, so that no hook or signing key of the user has a
say in them, the user's staged and unsaved work never gets into them, and nothing but one atomic
move of the branch makes them visible. An effect is found again by the trailer of its commit.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from expunge.dataset import gitcommand
from expunge.dataset.gitcommand import GitError
from expunge.errors import TerminalError

TRAILER = "Expunge-Effect"
Edit = Callable[[bytes | None], bytes]  # the committed content, None where absent -> the new one

_ATTEMPTS = 5
_ABSENT = "0" * 40


class DetachedHeadError(TerminalError):
    """No branch is checked out, so that a commit would belong to none."""


class VersionConflictError(TerminalError):
    """The same path was committed elsewhere: one of the two versions would be lost."""


@dataclass(frozen=True)
class GitRepo:
    """A git repository whose top level is `root`."""

    root: Path

    def head(self) -> str | None:
        """Commit that HEAD points to; None on a branch without commits."""
        return self._maybe("rev-parse", "--verify", "--quiet", "HEAD^{commit}")

    def branch(self) -> str:
        """Name of the branch that is checked out."""
        name = self._maybe("symbolic-ref", "--quiet", "--short", "HEAD")
        if name is None:
            raise DetachedHeadError(
                "HEAD of the workspace is detached: a dataset version committed there would "
                "belong to no branch.",
                fix=f"git -C {self.root} switch BRANCH, then run again",
            )
        return name

    def content(self, revision: str | None, path: str) -> bytes | None:
        """Committed content of `path`; `revision` "" means the index. None where absent."""
        if revision is None:
            return None
        found = self._call("cat-file", "blob", f"{revision}:{path}")
        return found.stdout if found.returncode == 0 else None

    def find_effect(self, key: str) -> str | None:
        """Commit whose trailer names effect `key`: on this branch, else on any ref."""
        if self.head() is None:
            return None
        for scope in ("HEAD", "--all"):
            listed = self.run(
                "log", scope, "--fixed-strings", f"--grep={TRAILER}: {key}",
                f"--format=%H %(trailers:key={TRAILER},valueonly,separator=%x20)",
            )  # fmt: skip
            for line in listed.splitlines():
                commit, _, value = line.partition(" ")
                if value.strip() == key:
                    return commit
        return None

    def resolve(self, name: str) -> str | None:
        """Commit that a ref or revision names."""
        return self._maybe("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")

    def is_on_branch(self, commit: str) -> bool:
        """Whether HEAD's history holds `commit`."""
        return self._call("merge-base", "--is-ancestor", commit, "HEAD").returncode == 0

    def effect_of(self, commit: str) -> str | None:
        """Effect key in the trailer of `commit`."""
        form = f"--format=%(trailers:key={TRAILER},valueonly)"
        return self.run("log", "-1", form, commit).strip() or None

    def commit(self, edits: Mapping[str, Edit], message: str, key: str) -> str:
        """Commit edited paths on top of HEAD under our identity; the index is not touched.

        Once for a key: where a process that lost its lock wakes up, the branch has the commit.
        """
        text = f"{message.strip()}\n\n{TRAILER}: {key}\n"
        for _ in range(_ATTEMPTS):
            head = self.head()
            found = self.find_effect(key)
            if found is not None and self.is_on_branch(found):
                return found
            commit = self._build(head, edits, text)
            if self._move_head(commit, head):
                return commit
        raise GitError(
            "The branch moved each time that a dataset version was about to be committed.",
            fix="run again when the other writer of the branch is done",
        )

    def sync_index(self, edits: Mapping[str, Edit]) -> None:
        """Give the user's index the edited paths, so that they do not look staged or reverted."""
        for path, edit in edits.items():
            staged = self.content("", path)
            wanted = edit(staged)
            if wanted != staged:
                blob = self.run("hash-object", "-w", "--stdin", stdin=wanted)
                self.run("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}")

    def tag(self, name: str, commit: str) -> None:
        """Point the light tag `name` at `commit`."""
        self.run("update-ref", f"refs/tags/{name}", commit)

    def refuses_push(self, remote: str) -> str | None:
        """Why the remote would not take a push of the branch; None where it would."""
        done = self._call("push", "--dry-run", remote, f"HEAD:refs/heads/{self.branch()}")
        behind = b"fetch first" in done.stderr or b"non-fast-forward" in done.stderr
        if done.returncode == 0 or behind:  # publishing catches up with others by itself
            return None
        return gitcommand.last_line(done.stderr)

    def push(self, remote: str, tag: str, commit: str) -> bool:
        """Push the branch, and `commit` as `tag`, all or nothing; False if the remote is ahead."""
        refs = [f"HEAD:refs/heads/{self.branch()}", f"{commit}:refs/tags/{tag}"]
        done = self._call("push", "--porcelain", "--atomic", remote, *refs)
        said = (done.stdout + done.stderr).decode(errors="replace")
        if done.returncode and not re.search(r"non-fast-forward|fetch first", said):
            raise gitcommand.failure(self.root, "push", said)
        return done.returncode == 0

    def rebase_effects(self, remote: str) -> None:
        """Put our own unpushed commits on top of what the remote's branch has now."""
        branch = self.branch()
        onto = f"refs/remotes/{remote}/{branch}"
        self.run("fetch", "--no-tags", remote, f"+refs/heads/{branch}:{onto}")
        old = self.head()
        new = self.run("rev-parse", onto)
        for commit in self.run("rev-list", "--reverse", f"{onto}..HEAD").split():
            new = self._replay(commit, new)
        self._call("update-index", "-q", "--refresh")
        moved = self._call("read-tree", "-m", "-u", "HEAD", new)
        if moved.returncode:
            raise GitError(
                "The git remote is ahead, and its changes touch files with unsaved changes of "
                f"yours: {gitcommand.last_line(moved.stderr)}",
                left="Your files are as they were; the dataset version is committed, not pushed.",
                fix="commit these files or put them aside, then run again",
            )
        if not self._move_head(new, old):
            raise GitError("The branch moved during the rebase.", fix="run again")

    def _replay(self, commit: str, onto: str) -> str:
        """Build one of our commits again on `onto`; refuse what is not ours or would be lost."""
        message = self.run("log", "-1", "--format=%B", commit)
        parents = self.run("rev-list", "-1", "--parents", commit).split()[1:]
        if self.effect_of(commit) is None or len(parents) != 1:
            raise GitError(
                "The git remote is ahead, and this branch has commits of yours that it lacks.",
                left="The dataset version is committed here and not pushed.",
                fix=f"git -C {self.root} pull --rebase, then run again",
            )
        edits: dict[str, Edit] = {}
        for path in self.run("diff-tree", "-r", "--name-only", *parents, commit).splitlines():
            before, after = self.content(parents[0], path), self.content(commit, path)
            if path.endswith(".gitignore"):
                edits[path] = with_lines((after or b"").decode().splitlines())
            elif self.content(onto, path) == before:
                edits[path] = with_content(after or b"")
            else:
                raise VersionConflictError(
                    f"{path} was changed on the git remote too: two writers published this "
                    "dataset without seeing each other.",
                    left="The dataset version is committed here and not pushed.",
                    fix="compare both versions (`git log --all -- PATH`) and keep the right one",
                )
        return self._build(onto, edits, message)

    def _build(self, parent: str | None, edits: Mapping[str, Edit], message: str) -> str:
        blobs = {}
        for path, edit in edits.items():
            before = self.content(parent, path)
            content = edit(before)
            if content != before:
                blobs[path] = self.run("hash-object", "-w", "--stdin", stdin=content)
        parents = ["-p", parent] if parent else []
        tree = self._tree(parent, blobs)
        return self.run("commit-tree", tree, *parents, stdin=message.encode())

    def _tree(self, base: str | None, blobs: Mapping[str, str]) -> str:
        """Tree `base` with blobs at some paths; without an index, which a kill would leave."""
        listed = self.run("ls-tree", "-z", base).split("\0") if base else []
        entries = {line.partition("\t")[2]: line for line in listed if line}
        below: dict[str, dict[str, str]] = {}
        for path, blob in blobs.items():
            name, _, rest = path.partition("/")
            if rest:
                below.setdefault(name, {})[rest] = blob
            else:
                entries[name] = f"100644 blob {blob}\t{name}"
        for name, inner in below.items():
            known = self.run("rev-parse", f"{base}:{name}") if name in entries else None
            subtree = self._tree(known, inner)
            entries[name] = f"040000 tree {subtree}\t{name}"
        return self.run("mktree", "-z", stdin="".join(f"{e}\0" for e in entries.values()).encode())

    def _move_head(self, new: str, old: str | None) -> bool:
        """Move the branch from `old` to `new`; False if somebody else moved it first."""
        try:
            self.run("update-ref", "-m", "expunge: publish", "HEAD", new, old or _ABSENT)
        except GitError:
            if self.head() == old:
                raise
            return False
        return True

    def run(self, *args: str, stdin: bytes = b"") -> str:
        """Output of a git command; see `gitcommand.run`."""
        return gitcommand.run(self.root, *args, stdin=stdin)

    def _call(self, *args: str) -> subprocess.CompletedProcess[bytes]:
        return gitcommand.call(self.root, *args)

    def _maybe(self, *args: str) -> str | None:
        done = self._call(*args)
        return done.stdout.decode().strip() if done.returncode == 0 else None


def with_content(content: bytes) -> Edit:
    """Edit that replaces the whole file."""
    return lambda _: content


def with_lines(lines: list[str]) -> Edit:
    """Edit that adds the lines which the file lacks, and keeps the others as they are."""

    def edit(old: bytes | None) -> bytes:
        text = (old or b"").decode()
        missing = [line for line in lines if line not in text.splitlines()]
        joint = "" if not text or text.endswith("\n") or not missing else "\n"
        return (text + joint + "".join(f"{line}\n" for line in missing)).encode()

    return edit
