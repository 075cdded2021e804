"""Perturbing the masked parameters, chunk by chunk, in place on a working copy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import nn

from expunge.unlearning.edit import TensorEdit
from expunge.unlearning.fresh import Fresh
from expunge.unlearning.laws import Law, TensorLaw, Values
from expunge.unlearning.parameters import in_play, spans
from expunge.unlearning.philox import Indices, Stream
from expunge.unlearning.selection import Mask, MaskDigest, Selection


class Masks(Protocol):
    """Which elements are masked: a Selection, or a strategy's own rule."""

    @property
    def ties(self) -> int:
        """Elements at a threshold among which a hash had to choose."""

    def mask(self, name: str, start: int, stop: int) -> Mask:
        """Which of the elements [start, stop) of parameter `name` are in, bool [stop − start]."""


class Rule(Protocol):
    """What the masked elements of one parameter become."""

    def apply(self, weights: Values, indices: Indices) -> Values:
        """New values, float64 [n], of the elements at `indices` that hold `weights`."""


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
    """Change the selected parameters of `work` (on the CPU) by `law`."""
    return alter(
        work, model, selection, lambda name, weights: TensorLaw(law, name, weights, fresh, stream)
    )


def alter(
    work: nn.Module,
    model: nn.Module,
    masks: Masks,
    rule_of: Callable[[str, nn.Parameter], Rule],
) -> Perturbed:
    """Change the masked elements of `work` (on the CPU) by each parameter's rule.

    `work` is a copy of `model` with float32 masters. A value counts as changed if it still
    differs once it is cast to the type that `model` keeps it in.
    """
    masters = in_play(work).parameters
    kept = {name: p.dtype for name, p in in_play(model).parameters.items()}
    digest, counts = MaskDigest(), {}
    for name in sorted(masters):
        digest.begin(name, masters[name].numel())
        rule = rule_of(name, masters[name])
        counts[name] = _perturb_one(
            masters[name], name, masks, rule, kept=kept[name], digest=digest
        )
    return Perturbed(tuple(counts[name] for name in masters), masks.ties, digest.hex())


def recounted(work: nn.Module, model: nn.Module, perturbed: Perturbed) -> Perturbed:
    """The record with `changed` counted anew, between `model` and `work` as it now is."""
    mine, its = in_play(work).parameters, in_play(model).parameters

    def differing(name: str) -> int:
        before = its[name].detach().cpu()
        return int((mine[name].detach().cpu().to(before.dtype) != before).sum())

    per_tensor = tuple(replace(each, changed=differing(each.name)) for each in perturbed.per_tensor)
    return replace(perturbed, per_tensor=per_tensor)


@dataclass(frozen=True)
class _Nothing:
    ties: int = 0

    def mask(self, name: str, start: int, stop: int) -> Mask:
        del name
        return np.zeros(stop - start, dtype=bool)


def untouched(work: nn.Module) -> Perturbed:
    """The record of a strategy that masks nothing."""
    return marked(work, _Nothing())


def marked(work: nn.Module, masks: Masks) -> Perturbed:
    """The record of a strategy that masks and, for now, changes nothing."""
    digest, sizes, counts = MaskDigest(), in_play(work).sizes, {}
    for name in sorted(sizes):
        digest.begin(name, sizes[name])
        counts[name] = 0
        for start, stop in spans(sizes[name]):
            mask = masks.mask(name, start, stop)
            digest.add(mask)
            counts[name] += int(mask.sum())
    per_tensor = tuple(TensorEdit(name, size, counts[name], 0) for name, size in sizes.items())
    return Perturbed(per_tensor, masks.ties, digest.hex())


def _perturb_one(
    master: nn.Parameter,
    name: str,
    masks: Masks,
    rule: Rule,
    *,
    kept: torch.dtype,
    digest: MaskDigest,
) -> TensorEdit:
    flat = master.detach().reshape(-1)  # a copy where the parameter is not row-major in memory
    masked = changed = 0
    for start, stop in spans(flat.numel()):
        mask = masks.mask(name, start, stop)
        digest.add(mask)
        masked += int(mask.sum())
        changed += _perturb_chunk(flat[start:stop], mask, start, rule, kept)
    master.detach().copy_(flat.view(master.shape))
    return TensorEdit(name, flat.numel(), masked, changed)


def _perturb_chunk(
    chunk: torch.Tensor, mask: Mask, start: int, rule: Rule, kept: torch.dtype
) -> int:
    at = np.flatnonzero(mask)
    if not at.size:
        return 0
    picked = torch.from_numpy(at)
    before = chunk[picked]
    after = torch.from_numpy(rule.apply(before.double().numpy(), at + start)).to(chunk.dtype)
    chunk[picked] = after
    return int((after.to(kept) != before.to(kept)).sum())
