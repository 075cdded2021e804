"""What a reader of an unlearning degree has to know beside the numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from expunge.evaluation.metric import Metric
from expunge.evaluation.spdgan.change import Sides, lost
from expunge.evaluation.uncertainty import Z95, subject_covariance

DAMAGE = 1.2


def notes_on(metrics: Sequence[Metric], marked: Sides, noisy: Sides) -> Iterator[str]:
    """Damage, a UD that says nothing, sign noise that does as well, and rows left out."""
    found = {each.name: each for each in metrics}
    ratio, control, calibrated = (found[name] for name in ("nud", "ud_control", "ud_calibrated"))
    if ratio.undefined is None and ratio.value > DAMAGE:
        yield f"nUD is {ratio.value:.2f}: above {DAMAGE} it is damage, not forgetting"
    if control.undefined is None and control.low > 0:
        yield f"UD is {control.value:.3f} on rows that nobody trained on: not forgetting"
    if calibrated.undefined is None and calibrated.low <= 0 <= calibrated.high:
        yield "UD_cal cannot be told from 0"
    gain = lost(marked.forget)[:, :1] - lost(noisy.forget)[:, :1]
    error = math.sqrt(float(subject_covariance(gain, marked.forget[0].subjects)[0, 0]))
    if abs(float(gain.mean())) <= Z95 * error:
        yield "sign noise of the same size gives a UD that cannot be told from the generator's"
    if calibrated.left_out:
        yield f"{calibrated.left_out} forget rows have too few held-out rows of their class"
