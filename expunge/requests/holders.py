"""Who holds a lock: a process, told apart from a later one with the same number.

Written `HOST/BOOT/PIDS:PID:STARTED`. Only a process of the same host, boot and process-id
namespace can be seen to be dead; of any other it is not known.
"""

from __future__ import annotations

import os
import secrets
import socket
from pathlib import Path

_PROC = Path("/proc")


def this_holder() -> str:
    """This process, with a random end so that two holds of one process differ."""
    pid = os.getpid()
    return f"{_host()}:{pid}:{_started(pid) or 0}:{secrets.token_hex(4)}"


def is_dead(holder: str) -> bool:
    """True only if `holder` certainly is a process of this host that has ended."""
    host, pid, started, _ = holder.rsplit(":", 3)
    if host != _host():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    now_started = _started(int(pid))
    return _PROC.is_dir() and started != "0" and now_started != int(started)


def _host() -> str:
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()[:8]
        pids = (_PROC / "self/ns/pid").readlink().name.strip("pid:[]")
    except OSError:
        boot, pids = "", ""
    return f"{socket.gethostname()}/{boot}/{pids}"


def _started(pid: int) -> int | None:
    """Clock ticks after boot at which `pid` started; None if it ended, reaped or not."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])
