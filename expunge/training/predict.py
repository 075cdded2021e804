"""Reading a trained network: outputs and labels of a dataset."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.utils.data import Subset, TensorDataset

from expunge.training.device import pick_device, reproducible_kernels
from expunge.training.modes import mode
from expunge.training.rows import RowError, RowReader, Rows


def predict(
    model: nn.Module, rows: Rows, *, device: str | torch.device, batch_size: int = 1024
) -> torch.Tensor:
    """Outputs, float32 [N, …] on the CPU, in the order of the rows, in evaluation mode.

    Logits [N, C] of a classifier; [N] or [N, 1] where the label is a real number.

    The network is moved to `device`. Raises RowError where there are no rows.
    """
    if len(rows) == 0:
        raise RowError("There are no rows to predict.", fix="give a split that is not empty")
    at = pick_device(device)
    model.to(at)
    reader, order = RowReader(rows, at), torch.arange(len(rows))
    with mode(model, training=False), torch.no_grad(), reproducible_kernels():
        parts = [model(reader.read(part)[0]).float() for part in torch.split(order, batch_size)]
        return torch.cat(parts).cpu()


def labels(rows: Any) -> npt.NDArray[Any]:
    """Labels of the rows [N]: their `labels`, their second tensor, or row by row.

    int64 for classes, float64 for real numbers: what labels are tells the task.
    """
    if type(rows) is Subset:
        return labels(rows.dataset)[np.asarray(rows.indices, dtype=np.int64)]
    if type(rows) is TensorDataset:
        found: Any = rows.tensors[1].cpu().numpy()
    elif hasattr(rows, "labels"):
        found = rows.labels
    else:
        reader, order = RowReader(rows), torch.arange(len(rows))
        parts = [reader.read(part)[1] for part in torch.split(order, 1024) if len(part)]
        found = torch.cat(parts).numpy() if parts else np.zeros(0, np.int64)
    known = np.asarray(found)
    real = np.issubdtype(known.dtype, np.floating)
    return known.astype(np.float64 if real else np.int64, copy=False)
