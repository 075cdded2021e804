"""Publishing with a real git, a real DVC repo and a real remote in a temporary folder."""

import errno
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from expunge.dataset import dvcrepo, gitcommand, publishing
from expunge.dataset.dvcrepo import (
    DiskFullError,
    RemoteMissingError,
    StoreUnreachableError,
    VersionMissingError,
)
from expunge.dataset.gitrepo import (
    DetachedHeadError,
    GitError,
    GitRepo,
    VersionConflictError,
    with_content,
)
from expunge.dataset.publishing import DirtyDatasetError, UnpublishableError, tag_of
from expunge.dataset.versions import checkout, find_published, publish
from expunge.workspace import init_workspace

CHECKOUT = Path(__file__).parents[2]
STEPS = [
    step.__name__ for step in (*publishing.STEPS_BEFORE_COMMIT, *publishing.STEPS_AFTER_COMMIT)
]


@pytest.fixture(autouse=True)
def _own_dvc_site_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A workspace whose dataset has a first version of three files."""
    root = tmp_path_factory.mktemp("template") / "workspace"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_SITE_CACHE_DIR", str(root.with_name("site")))
        patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        init_workspace(root)
        git(root, "config", "user.name", "user")
        git(root, "config", "user.email", "user@localhost")
        files = {name: name.encode() * 50 for name in ("shard-0", "shard-1", "index-0")}
        publish(root, "digits", staged(root, "first", files), key="ingest:1", message="Ingest")
    return root


@pytest.fixture
def root(template, tmp_path):
    """A workspace of one's own, with the first version."""
    return shutil.copytree(template, tmp_path / "workspace", symlinks=True)


def git(root, *args):
    done = subprocess.run(["git", "-C", str(root), *args], check=True, capture_output=True)
    return done.stdout.decode().strip()


def staged(root, name, files):
    folder = root / ".expunge" / "staging" / name
    folder.mkdir(parents=True)
    for file, content in files.items():
        (folder / file).write_bytes(content)
    return folder


def erase(root, content=b"rewritten", **more):
    """Publish a version in which shard-1 is rewritten."""
    folder = root / ".expunge" / "staging" / "b-1"
    if not folder.exists():
        staged(root, "b-1", {"shard-1": content})
    return publish(root, "digits", folder, key="publish:b-1", message="Erase 3 rows", **more)


def reconfigure(root, old, new):
    config = root / ".dvc" / "config"
    config.write_text(config.read_text().replace(old, new))


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def remote_of(root):
    return root / ".expunge" / "remote" / "files" / "md5"


def objects(folder):
    return {p.relative_to(folder).as_posix().replace("/", "") for p in folder.glob("*/*")}


def md5(content):
    return hashlib.md5(content).hexdigest()


def assert_published(root, version):
    """The state that every publishing has to end in, disturbed or not."""
    trailers = git(root, "log", "--format=%(trailers:key=Expunge-Effect,valueonly)").split()
    assert trailers.count("publish:b-1") == 1
    assert git(root, "rev-parse", tag_of("digits", "publish:b-1")) == version.commit
    assert git(root, "tag", "--list", "expunge/digits/publish*").count("\n") == 0
    assert version.md5 in git(root, "show", f"{version.commit}:data/digits.dvc")
    assert git(root, "status", "--porcelain") == ""
    assert not list((root / ".dvc" / "tmp" / "expunge-digits").glob("*"))
    assert contents(root / "data" / "digits") == {
        "shard-0": b"shard-0" * 50,
        "shard-1": b"rewritten",
        "index-0": b"index-0" * 50,
    }
    tree = json.loads((remote_of(root) / version.md5[:2] / version.md5[2:]).read_text())
    assert {entry["md5"] for entry in tree} <= objects(remote_of(root))


def test_publishing_makes_one_commit_one_tag_and_a_complete_remote(root):
    version = erase(root)
    assert_published(root, version)
    assert git(root, "log", "-1", "--format=%an %ae %s") == "expunge expunge@localhost Erase 3 rows"
    assert git(root, "diff", "--name-only", "HEAD^", "HEAD") == "data/digits.dvc"
    assert (root / "data" / ".gitignore").read_text().splitlines() == ["/digits"]


def test_publishing_again_changes_nothing(root):
    version = erase(root)
    head = git(root, "rev-parse", "HEAD")
    assert erase(root) == version == find_published(root, "digits", "publish:b-1")
    assert git(root, "rev-parse", "HEAD") == head


def test_a_process_that_wakes_up_in_the_middle_commits_no_second_time(root):
    """It looked for the effect before it was stopped; another process published meanwhile."""
    version = erase(root)
    pointer = (root / "data" / "digits.dvc").read_bytes()
    edits = {"data/digits.dvc": with_content(pointer)}
    assert GitRepo(root).commit(edits, "Erase 3 rows", "publish:b-1") == version.commit
    assert_published(root, version)


def test_what_was_never_published_is_not_found(root):
    assert find_published(root, "digits", "publish:b-9") is None
    assert find_published(root, "other", "ingest:1") is None


def test_a_version_that_equals_the_last_one_still_gets_its_own_commit(root):
    before = find_published(root, "digits", "ingest:1")
    folder = staged(root, "same", {"shard-0": b"shard-0" * 50})
    again = publish(root, "digits", folder, key="ingest:2", message="Ingest nothing new")
    assert again.md5 == before.md5
    assert again.commit != before.commit


def test_replacing_all_removes_what_was_not_staged(root):
    folder = staged(root, "new", {"shard-7": b"new"})
    publish(root, "digits", folder, key="ingest:2", message="Replace", replace_all=True)
    assert contents(root / "data" / "digits") == {"shard-7": b"new"}


def test_replacing_all_by_nothing_is_refused(root):
    with pytest.raises(UnpublishableError, match="empty"):
        publish(root, "digits", staged(root, "none", {}), key="k", message="m", replace_all=True)
    assert len(contents(root / "data" / "digits")) == 3


def test_staged_files_stay_until_the_caller_removes_them(root):
    erase(root)
    assert contents(root / ".expunge" / "staging" / "b-1") == {"shard-1": b"rewritten"}


@pytest.mark.parametrize("links", ["reflink,hardlink,copy", "hardlink", "copy", "symlink"])
def test_a_shard_linked_to_the_cache_is_replaced_and_never_written_to(root, links):
    reconfigure(root, "reflink,hardlink,copy", links)
    git(root, "commit", "--quiet", "--all", "--allow-empty", "--message", "Link type")
    first = find_published(root, "digits", "ingest:1")
    subprocess.run(
        [sys.executable, "-m", "dvc", "checkout", "--relink", "-q"], cwd=root, check=True
    )
    version = erase(root)
    old = checkout(root, "digits", first.md5, root / ".expunge" / "old")
    assert contents(old)["shard-1"] == b"shard-1" * 50
    assert contents(root / "data" / "digits")["shard-1"] == b"rewritten"
    assert erase(root) == version


# The user's own work


def test_what_the_user_staged_and_left_unsaved_stays_as_it_was(root):
    (root / "notes.txt").write_text("committed\n")
    git(root, "add", "notes.txt")
    git(root, "commit", "--quiet", "--message", "Notes")
    (root / "notes.txt").write_text("staged\n")
    (root / "new.txt").write_text("staged, new\n")
    git(root, "add", "notes.txt", "new.txt")
    (root / "notes.txt").write_text("unsaved\n")
    (root / "data" / ".gitignore").write_text("/digits\n/mine\n")
    before = git(root, "diff", "--cached"), git(root, "status", "--porcelain")
    version = erase(root)
    assert (git(root, "diff", "--cached"), git(root, "status", "--porcelain")) == before
    assert (root / "notes.txt").read_text() == "unsaved\n"
    assert git(root, "diff", "--name-only", "HEAD^", version.commit) == "data/digits.dvc"


def test_a_first_publishing_takes_only_its_own_line_of_a_changed_gitignore(root):
    (root / "data" / ".gitignore").write_text("/digits\n/mine\n")
    folder = staged(root, "other", {"shard-0": b"x"})
    publish(root, "other", folder, key="ingest:o", message="Ingest")
    assert git(root, "show", "HEAD:data/.gitignore") == "/digits\n/other"
    assert (root / "data" / ".gitignore").read_text() == "/digits\n/mine\n/other\n"
    assert git(root, "diff", "--cached") == ""


def test_hooks_and_signing_of_the_user_have_no_say(root):
    for hook in ("pre-commit", "commit-msg", "post-commit", "reference-transaction"):
        path = root / ".git" / "hooks" / hook
        path.write_text(f"#!/bin/sh\ntouch {root}/hook-ran\nexit 1\n")
        path.chmod(0o755)
    for name in ("commit.gpgsign", "tag.gpgsign"):
        git(root, "config", name, "true")
    git(root, "config", "gpg.program", "/bin/false")
    version = erase(root)
    assert git(root, "rev-parse", "HEAD") == version.commit
    assert not (root / "hook-ran").exists()


def test_a_detached_head_is_refused_before_anything_is_placed(root):
    git(root, "checkout", "--quiet", "--detach")
    with pytest.raises(DetachedHeadError, match="switch"):
        erase(root)
    assert contents(root / "data" / "digits")["shard-1"] == b"shard-1" * 50


def test_git_variables_of_a_surrounding_hook_are_not_obeyed(root, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    version = erase(root)
    monkeypatch.delenv("GIT_DIR")
    monkeypatch.delenv("GIT_INDEX_FILE")
    assert_published(root, version)


# Damage and faults


def test_a_shard_changed_by_hand_is_refused_and_the_version_stays(root):
    path = root / "data" / "digits" / "shard-0"
    path.unlink()
    path.write_bytes(b"by hand")
    head, pointer = git(root, "rev-parse", "HEAD"), (root / "data" / "digits.dvc").read_bytes()
    with pytest.raises(DirtyDatasetError, match="shard-0"):
        erase(root)
    assert git(root, "rev-parse", "HEAD") == head
    assert (root / "data" / "digits.dvc").read_bytes() == pointer
    path.write_bytes(b"shard-0" * 50)
    assert_published(root, erase(root))


def test_a_shard_that_a_killed_dvc_removed_is_restored_not_lost(root):
    (root / "data" / "digits" / "shard-0").unlink()
    assert_published(root, erase(root))


def test_a_clone_without_the_data_fetches_the_untouched_shards(root):
    shutil.rmtree(root / "data" / "digits")
    shutil.rmtree(root / ".dvc" / "cache")
    assert_published(root, erase(root))


def test_temporary_files_of_a_killed_dvc_do_not_get_into_a_version(root):
    (root / "data" / "digits" / f".{'a' * 22}.tmp").write_bytes(b"half a shard")
    assert_published(root, erase(root))


def test_copies_that_a_killed_dvc_or_publishing_left_aside_are_removed(root):
    temporary = f".{'a' * 22}.tmp"
    left = [
        root / ".dvc" / "cache" / "files" / "md5" / "ab" / temporary,
        remote_of(root) / "ab" / temporary,
        root / ".dvc" / "tmp" / "expunge-digits" / "12345",
    ]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half a shard")
    assert_published(root, erase(root))
    assert not [path for path in left if path.exists()]


def test_a_remote_that_others_write_to_keeps_their_young_temporary_files(root, tmp_path):
    shared, name = tmp_path / "shared", f".{'a' * 22}.tmp"
    (root / ".expunge" / "remote").rename(shared)
    reconfigure(root, "../.expunge/remote", str(shared))
    young, old = shared / "files" / "md5" / "ab" / name, shared / "files" / "md5" / "cd" / name
    for path in (young, old):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"half a shard")
    os.utime(old, (0, 0))
    erase(root)
    assert young.exists()
    assert not old.exists()


@pytest.mark.parametrize("half", [b"", b"outs:\n- md5: 97f8", b"outs:\n- md5: [\n"])
def test_a_half_written_pointer_is_mended(root, half):
    (root / "data" / "digits.dvc").write_bytes(half)
    assert_published(root, erase(root))


def test_lock_lists_of_killed_dvc_processes_do_not_block(root):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    info = {"pid": dead.pid, "cmd": "dvc add"}
    rwlock = root / ".dvc" / "tmp" / "rwlock"
    rwlock.write_text(json.dumps({"write": {str(root / "data" / "digits"): info}, "read": {}}))
    erase(root)
    rwlock.write_text('{"write": {"/x": {"pi')
    folder = staged(root, "b-2", {"shard-0": b"again"})
    publish(root, "digits", folder, key="publish:b-2", message="Erase")
    assert contents(root / "data" / "digits")["shard-0"] == b"again"


def test_an_index_lock_of_a_killed_git_is_taken_away(root):
    lock = root / ".git" / "index.lock"
    lock.touch()
    os.utime(lock, (time.time() - 60, time.time() - 60))
    assert_published(root, erase(root))
    assert not lock.exists()


def test_a_lock_of_a_living_git_is_respected(root, monkeypatch):
    monkeypatch.setattr(gitcommand, "_PATIENCE_SECONDS", 0.3)
    lock = root / ".git" / "index.lock"
    lock.touch()
    os.utime(lock, (time.time() - 60, time.time() - 60))
    command = ["git", "-C", str(root), "cat-file", "--batch"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as living:
        with pytest.raises(GitError, match=r"remove .*index\.lock"):
            erase(root)
        assert lock.exists()
        living.stdin.close()
    monkeypatch.undo()
    assert_published(root, erase(root))


def test_an_unreachable_remote_is_transient_and_the_same_run_resumes(root):
    remote = root / ".expunge" / "remote"
    remote.rename(root / ".expunge" / "away")
    remote.write_text("not a folder")
    with pytest.raises(StoreUnreachableError) as caught:
        erase(root)
    assert "not committed" in caught.value.left
    assert find_published(root, "digits", "publish:b-1") is None
    remote.unlink()
    (root / ".expunge" / "away").rename(remote)
    assert_published(root, erase(root))


def test_a_workspace_without_a_remote_is_told_how_to_add_one(root):
    reconfigure(root, "remote = store\n", "")
    with pytest.raises(RemoteMissingError, match="dvc remote add"):
        erase(root)


def test_an_object_that_vanished_from_the_remote_is_pushed_again(root):
    erase(root)
    shutil.rmtree(remote_of(root))
    folder = staged(root, "b-2", {"shard-0": b"again"})
    version = publish(root, "digits", folder, key="publish:b-2", message="Erase")
    shutil.rmtree(root / ".dvc" / "cache")
    old = checkout(root, "digits", version.commit, root / ".expunge" / "old")
    assert contents(old)["shard-0"] == b"again"
    assert contents(old)["shard-1"] == b"rewritten"


def test_a_full_disk_is_transient_and_leaves_whole_files(root, monkeypatch):
    real = publishing._linked

    def full(source, target):
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    monkeypatch.setattr(publishing, "_linked", full)
    with pytest.raises(DiskFullError, match="disk is full"):
        erase(root)
    assert contents(root / "data" / "digits")["shard-1"] == b"shard-1" * 50
    monkeypatch.setattr(publishing, "_linked", real)
    assert_published(root, erase(root))


def test_a_dvc_that_cannot_open_its_own_database_is_told_in_our_words(root, monkeypatch):
    def full(*_, **__):
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patched, pytest.raises(StoreUnreachableError, match="disk I/O"):
        patched.setattr("dvc.repo.Repo.__init__", full)
        erase(root)
    assert_published(root, erase(root))


def test_a_cache_that_takes_nothing_is_noticed_before_the_commit(root):
    head = git(root, "rev-parse", "HEAD")
    cache = root / ".dvc" / "cache"
    cache.rename(root / ".dvc" / "away")
    cache.write_text("not a folder")
    with pytest.raises(StoreUnreachableError):
        erase(root)
    assert git(root, "rev-parse", "HEAD") == head
    cache.unlink()
    (root / ".dvc" / "away").rename(cache)
    assert_published(root, erase(root))


@pytest.mark.parametrize(("name", "when"), [(STEPS[0], "before"), *((s, "after") for s in STEPS)])
def test_a_publishing_killed_at_any_step_ends_the_same_when_it_is_run_again(
    root, tmp_path, name, when
):
    undisturbed = tmp_path / "undisturbed"
    shutil.copytree(root, undisturbed, symlinks=True)
    expected = erase(undisturbed)
    folder = staged(root, "b-1", {"shard-1": b"rewritten"})
    command = [sys.executable, "-m", "tests.dataset.publish_child"]
    killed = subprocess.run(
        [*command, str(root), str(folder), "", name, when],
        cwd=CHECKOUT, capture_output=True, check=False,
    )  # fmt: skip
    assert killed.returncode == -9, killed.stderr.decode()
    assert (find_published(root, "digits", "publish:b-1") is None) == (name != "tag")
    version = erase(root)
    assert version.md5 == expected.md5
    assert_published(root, version)


# A git remote


@pytest.fixture
def bare(root, tmp_path):
    bare = tmp_path / "bare.git"
    subprocess.run(["git", "init", "--quiet", "--bare", "-b", "main", str(bare)], check=True)
    git(root, "remote", "add", "origin", str(bare))
    git(root, "push", "--quiet", "origin", "main")
    return bare


def commit_elsewhere(bare, tmp_path, path, text):
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(bare), str(clone)], check=True)
    (clone / path).write_text(text)
    git(clone, "add", path)
    who = ("-c", "user.name=colleague", "-c", "user.email=colleague@localhost")
    git(clone, *who, "commit", "--quiet", "--message", "Elsewhere")
    git(clone, "push", "--quiet", "origin", "main")
    return git(clone, "rev-parse", "HEAD")


def test_branch_and_tag_reach_the_git_remote(root, bare):
    version = erase(root, git_remote="origin")
    assert git(bare, "rev-parse", "main") == version.commit
    assert git(bare, "rev-parse", tag_of("digits", "publish:b-1")) == version.commit


def test_our_commit_is_rebased_where_the_remote_is_ahead(root, bare, tmp_path):
    theirs = commit_elsewhere(bare, tmp_path, "README", "theirs\n")
    (root / "mine.txt").write_text("staged\n")
    git(root, "add", "mine.txt")
    version = erase(root, git_remote="origin")
    assert git(bare, "log", "--format=%H", "main").split()[:2] == [version.commit, theirs]
    assert git(bare, "rev-parse", tag_of("digits", "publish:b-1")) == version.commit
    assert (root / "README").read_text() == "theirs\n"
    assert git(root, "status", "--porcelain") == "A  mine.txt"
    assert erase(root, git_remote="origin") == version


def test_a_version_of_the_same_dataset_on_the_remote_is_never_overwritten(root, bare, tmp_path):
    pointer = (root / "data" / "digits.dvc").read_text()
    theirs = commit_elsewhere(bare, tmp_path, "data/digits.dvc", pointer + "desc: theirs\n")
    with pytest.raises(VersionConflictError, match="two writers"):
        erase(root, git_remote="origin")
    assert git(bare, "rev-parse", "main") == theirs
    assert find_published(root, "digits", "publish:b-1") is None


def test_commits_of_the_user_are_not_rebased(root, bare, tmp_path):
    commit_elsewhere(bare, tmp_path, "README", "theirs\n")
    (root / "mine.txt").write_text("mine\n")
    git(root, "add", "mine.txt")
    git(root, "commit", "--quiet", "--message", "Mine")
    with pytest.raises(GitError, match="pull --rebase"):
        erase(root, git_remote="origin")
    git(root, "pull", "--quiet", "--rebase", "origin", "main")
    version = erase(root, git_remote="origin")
    assert git(bare, "rev-parse", "main") == version.commit
    assert_published(root, version)


def test_an_unreachable_git_remote_is_transient_and_the_same_run_resumes(root, bare):
    bare.rename(bare.with_name("away"))
    with pytest.raises(GitError, match="git push failed"):
        erase(root, git_remote="origin")
    assert find_published(root, "digits", "publish:b-1") is None
    bare.with_name("away").rename(bare)
    version = erase(root, git_remote="origin")
    assert git(bare, "rev-parse", "main") == version.commit
    assert_published(root, version)


# Past versions


def test_a_past_version_comes_back_by_md5_and_by_commit(root):
    first = find_published(root, "digits", "ingest:1")
    version = erase(root)
    old = checkout(root, "digits", first.md5, root / ".expunge" / "old")
    assert contents(old)["shard-1"] == b"shard-1" * 50
    assert checkout(root, "digits", version.commit, old) == old
    assert contents(old) == contents(root / "data" / "digits")
    assert git(root, "status", "--porcelain") == ""


def test_a_past_version_is_fetched_from_the_remote(root):
    first = find_published(root, "digits", "ingest:1")
    shutil.rmtree(root / ".dvc" / "cache")
    old = checkout(root, "digits", first.md5, root / ".expunge" / "old")
    assert len(contents(old)) == 3


def test_a_version_whose_bytes_are_gone_is_a_clear_error(root):
    first = find_published(root, "digits", "ingest:1")
    erase(root)
    lost = next(iter(objects(remote_of(root)) & {md5(b"shard-1" * 50)}))
    for folder in (remote_of(root), root / ".dvc" / "cache" / "files" / "md5"):
        (folder / lost[:2] / lost[2:]).unlink()
    with pytest.raises(VersionMissingError, match="1 of 3 objects"):
        checkout(root, "digits", first.md5, root / ".expunge" / "old")
    with pytest.raises(VersionMissingError, match="neither"):
        checkout(root, "digits", "0" * 32 + ".dir", root / ".expunge" / "old")
    with pytest.raises(VersionMissingError, match="neither the md5"):
        checkout(root, "digits", "nonsense", root / ".expunge" / "old")


def test_a_past_version_is_never_put_into_data(root):
    first = find_published(root, "digits", "ingest:1")
    with pytest.raises(UnpublishableError, match="outside data/"):
        checkout(root, "digits", first.md5, root / "data" / "digits")


# Cost


def test_adding_a_few_changed_shards_hashes_only_these(root, monkeypatch):
    import dvc_data.hashfile.build

    many = {f"shard-{n:05d}": n.to_bytes(4) * 25 for n in range(500)}
    folder = staged(root, "many", many)
    publish(root, "digits", folder, key="ingest:2", message="Ingest", replace_all=True)
    hashed = []
    real = dvc_data.hashfile.build.hash_file

    def counting(path, *args, **more):
        hashed.append(Path(path).name)
        return real(path, *args, **more)

    monkeypatch.setattr(dvc_data.hashfile.build, "hash_file", counting)
    folder = staged(root, "few", dict.fromkeys(list(many)[:7], b"new"))
    publish(root, "digits", folder, key="publish:b-2", message="Erase")
    assert sorted(hashed) == sorted(many)[:7]


def test_a_version_is_the_one_that_dvc_itself_would_have_made(root):
    erase(root)
    pointer = (root / "data" / "digits.dvc").read_bytes()
    with dvcrepo.open_dvc(root) as dvc:
        assert dvc.status() == {}
        assert dvc.status(cloud=True) == {}
        dvcrepo.add(dvc, root / "data" / "digits")
    assert (root / "data" / "digits.dvc").read_bytes() == pointer


def test_rewritten_files_share_their_bytes_with_the_cache(root):
    version = erase(root)
    cached = root / ".dvc" / "cache" / "files" / "md5"
    oid = md5(b"rewritten")
    assert (cached / version.md5[:2] / version.md5[2:]).exists()
    assert (root / "data" / "digits" / "shard-1").samefile(cached / oid[:2] / oid[2:])


def test_a_remote_that_never_had_the_last_version_gets_all_of_the_next(root):
    reconfigure(root, ".expunge/remote", ".expunge/other")
    git(root, "commit", "--quiet", "--all", "--message", "Another remote")
    version = erase(root)
    other = root / ".expunge" / "other" / "files" / "md5"
    tree = json.loads((other / version.md5[:2] / version.md5[2:]).read_text())
    assert {entry["md5"] for entry in tree} <= objects(other)


def test_a_cache_that_was_emptied_is_filled_again(root):
    shutil.rmtree(root / ".dvc" / "cache")
    version = erase(root)
    assert_published(root, version)
    cached = root / ".dvc" / "cache" / "files" / "md5"
    assert objects(cached) >= {md5(b"shard-0" * 50), md5(b"rewritten"), version.md5}


def test_keys_that_differ_only_in_what_a_tag_cannot_hold_get_different_tags():
    assert tag_of("digits", "a:b") != tag_of("digits", "a/b")
    assert tag_of("digits", "a-b") == "expunge/digits/a-b"
