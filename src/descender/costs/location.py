"""The best constant: weighted quantiles, and the location that minimises a sum of convex functions of one number."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray


def weighted_quantile(y: NDArray, weights: NDArray, level: float) -> float:
    """The smallest value at or below which at least the share `level` of the weight lies.

    >>> weighted_quantile(np.array([3.0, 1.0, 2.0]), np.ones(3), 0.5)
    2.0
    """
    order = np.argsort(y, kind="stable")
    order = order[weights[order] > 0]
    reached = np.cumsum(weights[order])
    k = int(np.searchsorted(reached, level * reached[-1] * (1.0 - 1e-15)))
    return float(y[order[min(k, len(order) - 1)]])


def robust_scale(y: NDArray) -> float:
    """The median absolute deviation, as a standard deviation; another scale where more than half of `y` is equal.

    >>> round(robust_scale(np.array([0.0, 1.0, 2.0, 3.0, 1e9])), 4)
    1.4826
    """
    deviations = np.abs(y - np.median(y))
    return float(1.4826 * np.median(deviations) or 1.2533 * deviations.mean() or 1.0)


def root(slope: Callable[[float], float], low: float, high: float) -> float:
    """Where a growing function of one number changes sign between two others, by bisection to the last digit."""
    while True:
        middle = low + 0.5 * (high - low)
        if not low < middle < high:
            return high if abs(slope(high)) < abs(slope(low)) else low
        if slope(middle) < 0:
            low = middle
        else:
            high = middle
