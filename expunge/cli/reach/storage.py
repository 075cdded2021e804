"""Where dataset versions go: the DVC remote and the git remote."""

from __future__ import annotations

from expunge.cli.reach import Finding
from expunge.workspace import Workspace


def remote(workspace: Workspace) -> Finding:
    """Whether the default DVC remote takes, gives back and removes a file."""
    from expunge.dataset.dvcrepo import bucket_versioning, open_dvc, probe_remote, translated

    left = "Nothing was changed."
    with open_dvc(workspace.root) as repo, translated("Reaching the DVC remote", left):
        found = f"{probe_remote(repo)} takes, gives back and removes files"
        versioning = bucket_versioning(repo)
    return f"{found}; {versioning}" if versioning else found, ""


def git(workspace: Workspace) -> Finding:
    """Branch, unfinished publishing, and whether the git remote would take a push."""
    from expunge.dataset.gitrepo import GitRepo

    git, remote = GitRepo(workspace.root), workspace.settings.git.remote
    branch = git.branch()
    unfinished = git.run("status", "--porcelain", "--", "data/*.dvc")
    if unfinished:
        return (
            f"on {branch}; pointers differ from the last commit: {' '.join(unfinished.split())}",
            "`expunge run` finishes what was killed; otherwise `git checkout -- data/` and "
            "`dvc checkout`",
        )
    if remote is None:
        return f"on {branch}; no git remote set", ""
    git.run("ls-remote", "--quiet", remote, f"refs/heads/{branch}")
    refused = git.refuses_push(remote)
    if refused is None:
        return f"on {branch}; remote {remote} takes a push", ""
    return (
        f"on {branch}; remote {remote} can be read, but not pushed to: {refused}",
        f"give the user of this machine the right to push to {remote}",
    )
