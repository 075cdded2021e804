"""What a call costs: seconds of the clock and of processors, bytes, and memory at its highest."""

from __future__ import annotations

import json
import multiprocessing
import platform
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil


@dataclass(frozen=True)
class Cost:
    """Of one call; processor seconds are of all threads and of the processes it started."""

    seconds: float
    cpu: float


class Clock:
    """Measures what a `with` block costs."""

    def __enter__(self) -> Clock:
        self._began, self._cpu = time.perf_counter(), _cpu()
        return self

    def __exit__(self, *_: object) -> None:
        self.cost = Cost(time.perf_counter() - self._began, _cpu() - self._cpu)


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def own_process() -> ProcessPoolExecutor:
    """One process of its own, which stays warm between calls and keeps count of its memory."""
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))


def peak_mb() -> float:
    """This process's resident memory at its highest so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def alone(call: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    """A call in a fresh process: what it returns, and the process's peak in MB."""
    with own_process() as process:
        return process.submit(call, *arguments).result(), process.submit(peak_mb).result()


def spread(values: Sequence[float], digits: int = 1) -> str:
    """Least and median, as a table holds them."""
    return f"{min(values):.{digits}f} / {statistics.median(values):.{digits}f}"


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Run by run, since runs beside each other share what else the machine does."""
    return [a / b for a, b in zip(above, below, strict=True)]


def bytes_in(folder: Path) -> int:
    """Bytes of the files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "cores": psutil.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "load_before": round(psutil.getloadavg()[0], 1),
        "python": platform.python_version(),
    }


def write_json(path: Path | None, found: Any) -> None:
    """Write what `--json` asked for."""
    if path is not None:
        path.write_text(json.dumps(found, indent=1) + "\n")
