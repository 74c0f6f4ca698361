"""The proximal Newton step: the minimum of a quadratic model plus an l1 penalty, by coordinate descent."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from descender.costs.cost import Vector
from descender.kernels.coordinates import minimise_quadratic
from descender.methods.centred import Centred, Reading

WORKING_SET, MOST = 400, 8000
"""Columns that are tried at first, and at most: their curvatures take memory with the square."""


def proximal_step(
    problem: Centred,
    v: Vector,
    reading: Reading,
    H: NDArray | None,
    l1: float,
    cautious: bool = False,
    damping: float = 0.0,
) -> tuple[Vector, float]:
    r""":math:`\arg\min_p g\cdot p + \tfrac12 p\cdot Hp + \lambda_1 (|w+p|_1 - |w|_1)` and half of what it promises.

    Without H only a working set of coordinates moves - those that are not zero and those whose gradient exceeds l1 the
    most - in the Hessian of these columns.

    J. Friedman, T. Hastie, R. Tibshirani, *Regularization paths for generalized linear models via coordinate descent*,
    2010; J. Lee, Y. Sun, M. Saunders, *Proximal Newton-type methods*, 2014.
    """
    g, d = reading.gradient, problem.d
    if H is None:
        chosen = working_set(g[:d], v[:d], l1)
        H = problem.restricted(chosen).hessian(reading.scores, cautious)
        if problem.intercept:
            chosen = np.append(chosen, d)
    else:
        chosen = np.arange(len(v))
    if damping > 0:
        H = H + damping * np.diag(np.diag(H))
    strengths = np.where(chosen < d, l1, 0.0)
    p = minimise_quadratic(H, g[chosen], v[chosen], strengths)
    step = np.zeros_like(v)
    step[chosen] = p
    promise = -float(g[chosen] @ p) - float(strengths @ (np.abs(v[chosen] + p) - np.abs(v[chosen])))
    return step, 0.5 * promise


def working_set(g: Vector, w: Vector, l1: float) -> NDArray:
    """The coordinates that are not zero, and the `WORKING_SET` largest violators among the others (at least twice).

    Of more than `MOST` those that are furthest from their best place.
    """
    support = np.flatnonzero(w)
    excess = np.where(w == 0, np.abs(g) - 0.95 * l1, -np.inf)
    room = min(max(WORKING_SET, 2 * len(support)), len(w))
    order = np.argpartition(-excess, room - 1)[:room]
    chosen = np.union1d(support, order[excess[order] > 0])
    if len(chosen) > MOST:
        off = np.where(w[chosen] == 0, np.abs(g[chosen]) - l1, np.abs(g[chosen] + l1 * np.sign(w[chosen])))
        chosen = np.sort(chosen[np.argpartition(-off, MOST - 1)[:MOST]])
    return chosen
