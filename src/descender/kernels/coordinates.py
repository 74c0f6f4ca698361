"""Cyclic coordinate descent on a quadratic with an l1 penalty."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

LOOPS_PAY = 300
"""Coordinates up to which NumPy is faster than waiting for a compiler."""


def descend_coordinates(add_scaled, H, gradient, w, l1, sweeps, p):
    """Minimise g·p + p'Hp/2 + sum l1|w + p| over p in place, one coordinate at a time; returns the sweeps used.

    A sweep over all coordinates is followed by sweeps over those that moved, until they rest.
    """
    q = gradient.copy()
    size = w.shape[0]
    moving = np.ones(size, dtype=np.bool_)
    everything, largest_ever = True, 0.0
    for sweep in range(sweeps):
        largest, moved = 0.0, 0
        for j in range(size):
            if not moving[j]:
                continue
            moving[j] = False
            a = H[j, j]
            if a <= 0.0:
                continue
            here = w[j] + p[j]
            target = here - q[j] / a
            change = target - min(max(target, -l1[j] / a), l1[j] / a) - here
            if change != 0.0:
                p[j] += change
                add_scaled(q, change, H[j])
                largest = max(largest, a * change * change)
                moving[j] = True
                moved += 1
        largest_ever = max(largest_ever, largest)
        if moved == 0 or largest <= 1e-12 * largest_ever:
            if everything:
                return sweep + 1
            everything = True
            for j in range(size):
                moving[j] = True
        else:
            everything = False
    return sweeps


def add_scaled(q, factor, row):
    """Q += factor row."""
    for j in range(q.shape[0]):
        q[j] += factor * row[j]


def _add_scaled_arrays(q: NDArray, factor: float, row: NDArray) -> None:
    q += factor * row


@cache
def _compiled() -> Callable:
    from descender.kernels.assemble import assemble_one

    return assemble_one(descend_coordinates, add_scaled)


def minimise_quadratic(H: NDArray, gradient: NDArray, w: NDArray, l1: NDArray, sweeps: int = 200) -> NDArray:
    """The step p that minimises g·p + p'Hp/2 + sum l1|w + p|, by at most `sweeps` sweeps.

    >>> minimise_quadratic(np.eye(2), np.array([-3.0, 0.5]), np.zeros(2), np.ones(2))
    array([2., 0.])
    """
    p = np.zeros(len(w))
    arguments = np.ascontiguousarray(H), gradient.astype(np.float64), w, l1, sweeps, p
    if len(w) > LOOPS_PAY:
        _compiled()(*arguments)
    else:
        descend_coordinates(_add_scaled_arrays, *arguments)
    return p
