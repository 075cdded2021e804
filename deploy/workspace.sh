#!/bin/sh
# workspace.sh DIR REMOTE [GIT_URL]: make a workspace, or mend one, that keeps its shards at REMOTE
# (s3://BUCKET/PATH) and, if given, pushes its pointers to the git repository at GIT_URL.
set -eu

expunge init "$1"
cd "$1"
if [ "$(dvc config remote.store.url || true)" != "$2" ]; then
    dvc remote add --quiet --force --default store "$2"
    git -c user.name=expunge -c user.email=expunge@localhost -c core.hooksPath=/dev/null \
        commit --quiet --message "DVC remote at $2" .dvc/config
fi
if [ -n "${3:-}" ]; then
    git remote get-url origin >/dev/null 2>&1 || git remote add origin "$3"
    git push --quiet --set-upstream origin HEAD
fi
