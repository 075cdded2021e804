"""A process that publishes and kills itself with SIGKILL around one step."""

import os
import signal
import sys
from pathlib import Path

from expunge.dataset import publishing
from expunge.dataset.versions import publish
from expunge.workspace import quiet_environment


def _dying(step, when):
    def die(job):
        if when == "after":
            step(job)
        os.kill(os.getpid(), signal.SIGKILL)

    return die


def main(root, staging, remote, name, when):
    for group in ("STEPS_BEFORE_COMMIT", "STEPS_AFTER_COMMIT"):
        steps = getattr(publishing, group)
        steps = tuple(_dying(s, when) if s.__name__ == name else s for s in steps)
        setattr(publishing, group, steps)
    quiet_environment()
    publish(
        Path(root), "digits", Path(staging), key="publish:b-1", message="Erase 3 rows",
        git_remote=remote or None,
    )  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
