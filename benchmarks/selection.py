"""What an exact selection over 100 million parameters costs beside torch.topk and a copy.

    .venv/bin/python -m benchmarks.selection [--parameters 100000000] [--repeats 3] [--json FILE]

Parameters are the tensors of a transformer with convolutions before it, from one element to some
20 million, by name; 28 % of their saliencies are exactly 0, as a champion's are. Each figure is
taken in a fresh process of one thread: seconds of a processor, least and median of the repeats,
and the highest resident memory beyond what the parameters themselves hold.

Ours is the rule and, from it, the mask of every chunk, counted. The baseline is `torch.topk` on the
tensors joined, joining included and its mask not; `sorted=False`, which is the faster. The physical
limit is a copy: bytes that a step has to read and write at the rate of `Tensor.copy_`, which reads
and writes 8 bytes an element.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path

import numpy as np
import torch

from benchmarks.measured import machine, own_process, spread, write_json
from benchmarks.memory import forget_highest, highest_mb, resident_mb
from expunge.unlearning import Selection, random_k, top_k
from expunge.unlearning.parameters import spans
from expunge.unlearning.philox import Stream
from expunge.unlearning.selection import count_of

FRACTIONS = (0.05, 0.2)
TIED = 0.8  # more than are not 0, so that the hash chooses among the zeros
MEMORY_LIMIT_MB = 64.0
ZEROS = 0.28
_CHECKED, _FEW = 2_000_000, 10_000_000
_SELECT, _NOISE = Stream(5, "select"), Stream(5, "noise")

Tensors = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Taken:
    """One step: processor seconds and MB beyond the parameters by repeat, and what it found."""

    seconds: tuple[float, ...]
    extra_mb: tuple[float, ...]
    found: tuple[float, ...]


def shapes(parameters: int) -> Iterator[tuple[str, int]]:
    """Names and sizes of tensors that hold so many elements: wide, narrow and single ones."""
    left = parameters
    for name, size in _network():
        yield name, min(size, left)
        left -= min(size, left)
        if not left:
            return


def _network() -> Iterator[tuple[str, int]]:
    yield "temperature", 1
    for at, (wide, kernel) in enumerate(((64, 147), (128, 576), (256, 1_152), (512, 2_304))):
        yield f"stem.{at}.weight", wide * kernel
        yield f"stem.{at}.bias", wide
    yield "embedding.weight", 30_522 * 768
    for at in count():
        for name, rows, columns in (
            ("query", 768, 768),
            ("key", 768, 768),
            ("value", 768, 768),
            ("out", 768, 768),
            ("up", 3_072, 768),
            ("down", 768, 3_072),
        ):
            yield f"block.{at}.{name}.weight", rows * columns
            yield f"block.{at}.{name}.bias", rows
        yield f"block.{at}.norm.weight", 768
        yield f"block.{at}.norm.bias", 768


def saliencies(parameters: int) -> dict[str, torch.Tensor]:
    """Saliencies, each tensor on a scale of its own; `ZEROS` of them are 0."""
    draw, made = torch.Generator().manual_seed(1), {}
    for at, (name, size) in enumerate(shapes(parameters)):
        values = torch.rand(size, generator=draw)
        values.sub_(ZEROS).clamp_(min=0).square_().mul_(10.0 ** -(at % 4))
        made[name] = values
    return made


def _ours(fraction: float, made: Tensors) -> tuple[float, ...]:
    selection = top_k(made, fraction, _SELECT)
    return (float(_masked(selection)), *(_value(cut.bits) for cut in {*selection.cuts.values()}))


def _random(fraction: float, made: Tensors) -> tuple[float, ...]:
    sizes = {name: values.numel() for name, values in made.items()}
    return (float(_masked(random_k(sizes, fraction, _SELECT))),)


def _masked(selection: Selection) -> int:
    return sum(
        int(np.count_nonzero(selection.mask(name, start, stop)))
        for name, size in selection.sizes.items()
        for start, stop in spans(size)
    )


def _value(bits: int) -> float:
    return float(np.array([bits], dtype=np.uint32).view(np.float32)[0])


def _baseline(fraction: float, made: Tensors) -> tuple[float, ...]:
    joined = torch.cat(list(made.values()))
    values, places = torch.topk(joined, count_of(fraction, joined.numel()), sorted=False)
    return float(places.numel()), float(values.min())


def _copy(_: float, made: Tensors) -> tuple[float, ...]:
    for values, copied in zip(made.values(), _copies(made), strict=True):
        copied.copy_(values)
    return ()


_kept: list[torch.Tensor] = []


def _copies(made: Tensors) -> list[torch.Tensor]:
    """Where the copy goes, written once before, since a first touch is the kernel's work."""
    if not _kept:
        _kept.extend(torch.ones_like(values) for values in made.values())
    return _kept


def _noise(_: float, made: Tensors) -> tuple[float, ...]:
    for name, values in made.items():
        for start, stop in spans(values.numel()):
            _NOISE.normals(name, np.arange(start, stop))
    return ()


STEPS: Mapping[str, Callable[[float, Tensors], tuple[float, ...]]] = {
    "copy": _copy,
    "torch.topk": _baseline,
    "Top-K": _ours,
    "Random-k": _random,
    "keyed noise": _noise,
}
MOVED = {"copy": 8, "torch.topk": 4, "Top-K": 4, "Random-k": 1, "keyed noise": 8}
"""Bytes an element that a step has to move: it reads a saliency, writes a mask or a new weight."""


def take(step: str, fraction: float, parameters: int, repeats: int) -> Taken:
    """Do a step several times, after once on little: to be called in a process of its own."""
    torch.set_num_threads(1)
    STEPS[step](fraction, saliencies(1_000))
    _kept.clear()
    made = saliencies(parameters)
    if step == "copy":
        _copies(made)
    seconds, extra, found = [], [], ()
    for _ in range(repeats):
        before = resident_mb()
        forget_highest()
        began = time.process_time()
        found = STEPS[step](fraction, made)
        seconds.append(time.process_time() - began)
        extra.append(highest_mb() - before)
    return Taken(tuple(seconds), tuple(extra), found)


def check(fraction: float) -> bool:
    """Whether Top-K is what a sort of everything by saliency, hash and index would take."""
    made = saliencies(_CHECKED)
    values = np.concatenate([each.numpy() for each in made.values()])
    hashes = np.concatenate([_SELECT.hashes(n, np.arange(v.numel())) for n, v in made.items()])
    expected = np.zeros(values.size, dtype=bool)
    expected[np.lexsort((hashes, -values))[: count_of(fraction, values.size)]] = True
    selection = top_k(made, fraction, _SELECT)
    found = [selection.mask(name, 0, size) for name, size in selection.sizes.items()]
    return bool(np.array_equal(np.concatenate(found), expected))


def _alone(step: str, fraction: float, parameters: int, repeats: int) -> Taken:
    process: ProcessPoolExecutor
    with own_process() as process:
        return process.submit(take, step, fraction, parameters, repeats).result()


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure every step, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--parameters", type=int, default=100_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args(arguments)
    host, few = machine(), min(asked.parameters, _FEW)
    selecting = [("copy", 1.0)] + [(each, f) for f in FRACTIONS for each in ("torch.topk", "Top-K")]
    taken = _table(selecting, asked.parameters, asked.repeats)
    drawing = [("copy", 1.0), ("Random-k", 0.05), ("keyed noise", 1.0)]
    drawing += [("torch.topk", TIED), ("Top-K", TIED)]
    drawn = _table(drawing, few, asked.repeats)
    exact = {fraction: check(fraction) for fraction in (*FRACTIONS, TIED)}
    for fraction, right in exact.items():
        found = f"equal to a sort of {_CHECKED:,} by saliency, hash and index: {_yes(right)}"
        if fraction in FRACTIONS:
            (k, value), (_, other) = (
                taken["Top-K", fraction].found,
                taken["torch.topk", fraction].found,
            )
            exactly = _yes(k == count_of(fraction, asked.parameters))
            found = (
                f"exactly K: {exactly}; K-th value as torch.topk's: {_yes(value == other)}; {found}"
            )
        print(f"{fraction:.0%}: {found}")
    tables = {asked.parameters: taken, few: drawn}
    write_json(
        asked.json,
        {
            "machine": host,
            "memory_limit_mb": MEMORY_LIMIT_MB,
            "exact": {str(fraction): right for fraction, right in exact.items()},
            "steps": [
                {"parameters": size, "step": name, "fraction": fraction, **asdict(each)}
                for size, table in tables.items()
                for (name, fraction), each in table.items()
            ],
        },
    )


def _table(
    steps: Sequence[tuple[str, float]], parameters: int, repeats: int
) -> dict[tuple[str, float], Taken]:
    """Measure the steps, the copy first, and print each as it is there."""
    tensors = sum(1 for _ in shapes(parameters))
    print(f"\n{parameters:,} parameters in {tensors} tensors, {ZEROS:.0%} of saliencies 0\n")
    print("| step | share | s | of torch.topk's | of copy bandwidth | extra MB |")
    print("|---|---|---|---|---|---|")
    taken: dict[tuple[str, float], Taken] = {}
    for name, fraction in steps:
        each = taken[name, fraction] = _alone(name, fraction, parameters, repeats)
        beside = taken.get(("torch.topk", fraction))
        ratio = "–" if beside is None else f"{_median(each) / _median(beside):.2f}"
        copy = min(taken["copy", 1.0].seconds)
        speed = MOVED[name] / MOVED["copy"] * copy / min(each.seconds)
        seconds, extra = spread(each.seconds, 2), max(each.extra_mb)
        print(
            f"| {name} | {fraction:.0%} | {seconds} | {ratio} | {speed:.1%} | {extra:.0f} |",
            flush=True,
        )
    rate = MOVED["copy"] * parameters / copy / 1e9
    print(f"\nthe copy's {rate:.1f} GB/s are read and written\n")
    return taken


def _median(each: Taken) -> float:
    return statistics.median(each.seconds)


def _yes(right: bool) -> str:
    return "yes" if right else "NO"


if __name__ == "__main__":
    main()
