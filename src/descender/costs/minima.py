"""Which of many points are the same minimum."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from descender.costs.cost import Vector

BETWEEN = np.sort(np.concatenate([[1e-3, 1 - 1e-3], (np.arange(1, 12) * 0.6180339887498949) % 1.0]))
"""Where on the way from one point to another the cost is looked at: nowhere in step with a periodic cost."""
SAME = 1e-7
"""Points nearer than this share of the extent are the same without a look at the way between."""


def distinct(
    value: Callable[[Vector], float],
    ends: NDArray[np.float64],
    costs: NDArray[np.float64],
    extent: NDArray[np.float64],
    fall: float = 0.0,
    tolerance: float = 1e-3,
) -> tuple[NDArray[np.int64], list[int]]:
    """A label for each end, lowest first, and the end that stands for each label; -1 where the cost is not finite.

    Two ends are one minimum if no barrier is between them on the straight way, and they are near, within `tolerance` of
    the `extent` in each coordinate, or the cost is the same all the way: a level valley is one minimum.  Between two
    minima, however near, the cost must rise; between two ends of walks that stopped short of one it does not.  `fall`
    is how far the cost typically fell on the way to an end: changes of 1e-12 of it are none.

    >>> def cost(w):
    ...     return float(np.cos(1000 * w[0]))
    >>> ends = np.array([[np.pi / 1000], [3 * np.pi / 1000], [np.pi / 1000 + 1e-5]])
    >>> distinct(cost, ends, np.array([cost(end) for end in ends]), np.array([1.0]))
    (array([0, 1, 0]), [0, 1])
    """
    labels = np.full(len(ends), -1)
    which: list[int] = []
    known = np.isfinite(costs) & np.isfinite(ends).all(axis=1)
    noise = 1e-12 * max(fall, float(np.abs(costs[known]).max(initial=0.0)))
    for i in np.flatnonzero(known)[np.argsort(costs[known], kind="stable")]:
        label = next((k for k, j in enumerate(which) if _one(value, ends, costs, (j, i), extent, tolerance, noise)), -1)
        if label < 0:
            label = len(which)
            which.append(int(i))
        labels[i] = label
    return labels, which


def _one(
    value: Callable[[Vector], float],
    ends: NDArray,
    costs: NDArray,
    pair: tuple[int, int],
    extent: NDArray,
    tolerance: float,
    noise: float,
) -> bool:
    """Whether two ends, the lower first, are one minimum."""
    low, high = pair
    apart = np.abs(ends[high] - ends[low]) / extent
    near = bool((apart <= tolerance).all())
    if (apart <= SAME).all():
        return True
    if not near and costs[high] - costs[low] > noise:
        return False
    with np.errstate(all="ignore"):
        for share in BETWEEN:
            between = value(ends[low] + share * (ends[high] - ends[low]))
            if not between <= costs[high] + noise or (not near and between < costs[low] - noise):
                return False
    return True
