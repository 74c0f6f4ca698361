"""Cyclic coordinate descent on a quadratic with an l1 penalty, compiled; methods/lasso.py waits for no compiler."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dposv

LOOPS_PAY = 100
"""Coordinates of classes up to which NumPy is faster than waiting for a compiler."""

EXACT = 1500
"""Coordinates that are not zero up to which their equations are solved, where coordinate descent crawls."""

SWEEPS = 20
"""Sweeps after which the coordinates that are not zero may be known."""

GUESSES = 12
"""Times that they are guessed at most, while each guess corrects fewer than the one before."""


def descend_coordinates(add_scaled, H, q, w, l1, p, sweeps, rest, slack):
    """Minimise g·p + p'Hp/2 + sum l1|w + p| from p, in place, one coordinate at a time; q = g + Hp follows.

    A sweep over all coordinates is followed by sweeps over those that moved, until one lowers the model by less than
    the share `rest` of what all have, or until no slope is off by more than `slack`; a last one looks at all.  Returns
    whether they are at rest.
    """
    size = w.shape[0]
    moving = np.ones(size, dtype=np.bool_)
    everything, total = True, 0.0
    for _ in range(sweeps):
        fell, largest = 0.0, 0.0
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
                fell += a * change * change
                largest = max(largest, a * abs(change))
                moving[j] = True
        total += fell
        if fell <= rest * total or largest <= slack:
            if everything:
                return True
            everything = True
            for j in range(size):
                moving[j] = True
        else:
            everything = False
    return False


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


def minimise_quadratic(
    H: NDArray,
    gradient: NDArray,
    w: NDArray,
    l1: NDArray,
    sweeps: int = 200,
    rest: float = 1e-24,
    slack: float = 0.0,
) -> NDArray:
    """The step p that minimises g·p + p'Hp/2 + sum l1|w + p|, by at most `sweeps` sweeps.

    Coordinate descent finds which coordinates are not zero, and crawls where columns are nearly the same; the equations
    on those coordinates then give the step exactly.  It is at rest where a sweep lowers the model by less than the
    share `rest` of what all have, or where no slope is off by more than `slack`.

    >>> minimise_quadratic(np.eye(2), np.array([-3.0, 0.5]), np.zeros(2), np.ones(2))
    array([2., 0.])
    """
    p = np.zeros(len(w))
    H, gradient = np.ascontiguousarray(H), gradient.astype(np.float64)
    descend, q, left = _compiled(), gradient.copy(), sweeps
    while left > 0:
        if descend(H, q, w, l1, p, min(SWEEPS, left), rest, slack):
            break
        exact = _by_guesses(H, gradient, w, l1, p) if np.count_nonzero(w + p) <= EXACT else None
        if exact is not None:
            return exact
        left -= SWEEPS
    return p


def _by_guesses(H: NDArray, gradient: NDArray, w: NDArray, l1: NDArray, p: NDArray) -> NDArray | None:
    """The minimum, where a guess of the coordinates that are not zero, and their signs, leads to itself.

    M. Hintermüller, K. Ito, K. Kunisch, *The primal-dual active set strategy as a semismooth Newton method*, 2003.
    """
    diagonal, bound = np.maximum(np.diag(H), 1e-300), l1 > 0
    signs, least = np.full(len(w), np.nan), 0
    for number in range(GUESSES):
        u = diagonal * (w + p) - (gradient + H @ p)
        guess = np.where(np.abs(u) > l1, np.sign(u), 0.0)
        changes = int(np.count_nonzero((guess != signs) & bound))
        if number > 0 and (changes == 0 or changes >= least):
            return p if changes == 0 else None
        least = changes
        signs, on = guess, np.flatnonzero((guess != 0) | ~bound)
        p = np.where((guess != 0) | ~bound, 0.0, 0.0 - w)
        if len(on):
            right = -(gradient + H @ p + l1 * guess)[on]
            _, p[on], failed = dposv(H[on[:, None], on], right, lower=1)
            if failed or not np.isfinite(p).all():
                return None
    return None


def descend_classes(add_scaled, A, S, ridge, G, W, l1, step, moved, sweeps, rest, slack):
    """:func:`descend_coordinates` for the model with curvature A x S + ridge, on (K, d) matrices.

    ``moved`` is step S, and follows it.
    """
    classes, size = W.shape
    moving = np.ones((classes, size), dtype=np.bool_)
    everything, total = True, 0.0
    for _ in range(sweeps):
        fell, largest = 0.0, 0.0
        for j in range(size):
            for k in range(classes):
                if not moving[k, j]:
                    continue
                moving[k, j] = False
                a = A[k, k] * S[j, j] + ridge[j]
                if a <= 0.0:
                    continue
                slope = G[k, j] + ridge[j] * step[k, j]
                for m in range(classes):
                    slope += A[k, m] * moved[m, j]
                here = W[k, j] + step[k, j]
                target = here - slope / a
                change = target - min(max(target, -l1[j] / a), l1[j] / a) - here
                if change != 0.0:
                    step[k, j] += change
                    add_scaled(moved[k], change, S[j])
                    fell += a * change * change
                    largest = max(largest, a * abs(change))
                    moving[k, j] = True
        total += fell
        if fell <= rest * total or largest <= slack:
            if everything:
                return True
            everything = True
            for k in range(classes):
                for j in range(size):
                    moving[k, j] = True
        else:
            everything = False
    return False


@cache
def _compiled_classes() -> Callable:
    from descender.kernels.assemble import assemble_one

    return assemble_one(descend_classes, add_scaled)


def minimise_kronecker(
    A: NDArray, S: NDArray, ridge: NDArray, G: NDArray, W: NDArray, l1: NDArray, sweeps: int, rest: float, slack: float
) -> NDArray:
    """The step (K, d) that minimises <G, step> + <step, A step S + ridge step>/2 + sum l1|W + step|.

    >>> minimise_kronecker(np.eye(1), np.eye(2), np.zeros(2), np.array([[-3.0, 0.5]]), np.zeros((1, 2)), np.ones(2),
    ...                    10, 1e-9, 0.0)
    array([[2., 0.]])
    """
    step, moved = np.zeros_like(W), np.zeros_like(W)
    loops = W.size > LOOPS_PAY
    descend = _compiled_classes() if loops else partial(descend_classes, _add_scaled_arrays)
    descend(A, np.ascontiguousarray(S), ridge, np.ascontiguousarray(G), W, l1, step, moved, sweeps, rest, slack)
    return step
