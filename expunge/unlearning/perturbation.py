"""Perturbing the masked parameters, chunk by chunk, in place on a working copy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from expunge.unlearning.edit import TensorEdit
from expunge.unlearning.fresh import Fresh
from expunge.unlearning.laws import Law, TensorLaw
from expunge.unlearning.parameters import in_play, spans
from expunge.unlearning.philox import Stream
from expunge.unlearning.selection import Mask, MaskDigest, Selection


@dataclass(frozen=True)
class Perturbed:
    """What a perturbation did: counts by parameter, ties of the selection, digest of the mask."""

    per_tensor: tuple[TensorEdit, ...]
    ties: int
    mask_digest: str


def perturb(
    work: nn.Module,
    model: nn.Module,
    selection: Selection,
    law: Law,
    *,
    fresh: Fresh,
    stream: Stream,
) -> Perturbed:
    """Change the selected parameters of `work` (on the CPU) by `law`.

    `work` is a copy of `model` with float32 masters. A value counts as changed if it still
    differs once it is cast to the type that `model` keeps it in.
    """
    masters = in_play(work).parameters
    kept = {name: p.dtype for name, p in in_play(model).parameters.items()}
    digest, counts = MaskDigest(), {}
    for name in sorted(masters):
        digest.begin(name, masters[name].numel())
        rule = TensorLaw(law, name, masters[name], fresh, stream)
        counts[name] = _perturb_one(
            masters[name], name, selection, rule, kept=kept[name], digest=digest
        )
    return Perturbed(tuple(counts[name] for name in masters), selection.ties, digest.hex())


def untouched(work: nn.Module) -> Perturbed:
    """The record of a strategy that masks nothing."""
    digest, sizes = MaskDigest(), in_play(work).sizes
    for name in sorted(sizes):
        digest.begin(name, sizes[name])
        for start, stop in spans(sizes[name]):
            digest.add(np.zeros(stop - start, dtype=bool))
    per_tensor = tuple(TensorEdit(name, size, 0, 0) for name, size in sizes.items())
    return Perturbed(per_tensor, 0, digest.hex())


def _perturb_one(
    master: nn.Parameter,
    name: str,
    selection: Selection,
    rule: TensorLaw,
    *,
    kept: torch.dtype,
    digest: MaskDigest,
) -> TensorEdit:
    flat = master.detach().reshape(-1)  # a copy where the parameter is not row-major in memory
    masked = changed = 0
    for start, stop in spans(flat.numel()):
        mask = selection.mask(name, start, stop)
        digest.add(mask)
        masked += int(mask.sum())
        changed += _perturb_chunk(flat[start:stop], mask, start, rule, kept)
    master.detach().copy_(flat.view(master.shape))
    return TensorEdit(name, flat.numel(), masked, changed)


def _perturb_chunk(
    chunk: torch.Tensor, mask: Mask, start: int, rule: TensorLaw, kept: torch.dtype
) -> int:
    at = np.flatnonzero(mask)
    if not at.size:
        return 0
    picked = torch.from_numpy(at)
    before = chunk[picked]
    after = torch.from_numpy(rule.apply(before.double().numpy(), at + start)).to(chunk.dtype)
    chunk[picked] = after
    return int((after.to(kept) != before.to(kept)).sum())
