"""What each row adds to a Hessian, and which rows are worth it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from descender.costs.losses import Loss

FLAT = 1e-4
"""What a row on a straight part of its loss counts for in the metric, as a share of the largest curvature."""
LIGHT, FEWER = 1.0, 0.8
"""The share of the mean curvature from which on a row is always in the Hessian of a sample; and the share of the rows
above which none is left out."""


def row_curvatures(loss: Loss, scores: NDArray, y: NDArray, flat: float, cautious: bool = False) -> NDArray:
    """What each row adds to a Hessian: on a straight part of its loss the share `flat` of the largest curvature.

    With `cautious` all have the largest.
    """
    curvature, bound = np.maximum(loss.curvature(scores, y), 0.0), loss.curvature_bound
    if not math.isfinite(bound):  # where nothing bounds it, that of the score which is best for the row is a guess
        bound = np.maximum(curvature, np.maximum(np.abs(y), 1.0))
    return bound + 0.0 * curvature if cautious else np.where(curvature > 0.0, curvature, flat * bound)


def heavy(h: NDArray, share: float = 1.0) -> tuple[NDArray, NDArray | None]:
    """Weights that sum up about the same in fewer rows, and which these are; None where all are worth it.

    A row that weighs less than :data:`LIGHT` times the mean stands for several of its kind, evenly; of all rows about
    a `share` stays.
    """
    least = LIGHT * float(h.mean()) if len(h) else 0.0
    kept = share * (np.minimum(1.0, h / least) if least > 0.0 else np.ones(len(h)))
    if float(kept.sum()) > FEWER * len(h):
        return h, None
    rows = np.flatnonzero(np.diff(np.floor(np.cumsum(kept) + 0.5), prepend=0.0) > 0.0)
    return h[rows] / kept[rows], rows
