r"""The minimum of a quadratic with an l1 penalty, by its matrix: which weights are not zero is found by solving.

First by guesses, which are right at once where the columns are not much alike or the start is near.  Then from support
to support, each of which lowers the cost.

M. Hintermüller, K. Ito, K. Kunisch, *The primal-dual active set strategy as a semismooth Newton method*, 2003;
H. Lee, A. Battle, R. Raina, A. Ng, *Efficient sparse coding algorithms*, 2006.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dposv

GUESSES, SHRINKS = 8, 0.5
"""Guesses of a support at most; each must correct no more than this share of the signs that the one before did: where
columns are much alike guesses never come to rest, and cost as much as exchanges."""
FEWEST = 2.0
"""The weights of a start over the signs that the first guess corrects, below which that is not worth solving for."""
NEAR_TOP, JOINING, FEW = 0.3, 0.5, 4
"""Weights join a support whose excess is above this share of the largest, at most this share of the support at once, or
a few: 5 to 15 times as fast as one by one."""


def lasso(G: NDArray, c: NDArray, w: NDArray, l1: float | NDArray, l2: float = 0.0, most: float = np.inf) -> NDArray:
    r"""The minimum of :math:`\tfrac12 w'Gw - c\cdot w + \tfrac12 l_2 |w|^2 + l_1 |w|_1`, begun at w;
    `l1` is one for all weights or one for each, 0 for those that are free.

    Newton's method on the conditions of the minimum: which weights are not zero, and their signs, is guessed, the
    equations of these solved, the guess corrected.  Where guesses do not come to rest, :func:`_exchanges`, which
    goes down with each step, does the rest, or `most` of these steps.

    >>> lasso(np.eye(3), np.array([3.0, -0.5, -2.0]), np.zeros(3), 1.0)
    array([ 2.,  0., -1.])
    """
    l1 = np.full(len(c), float(l1)) if np.ndim(l1) == 0 else np.asarray(l1, dtype=np.float64)
    H = G.copy()
    diagonal = H.diagonal() + l2
    H.flat[:: len(c) + 1] = diagonal + 1e-13 * float(diagonal.max(initial=0.0))
    diagonal = np.maximum(diagonal, 1e-300)
    signs, first, before = np.sign(w), w, np.inf
    for number in range(GUESSES):
        u = diagonal * w + (c - H.dot(w))
        guess = np.where(np.abs(u) > l1, np.sign(u), 0.0)
        changes, known = float(np.count_nonzero(guess != signs)), np.count_nonzero(signs * l1)
        if number > 0 and changes == 0:
            return w
        if (number > 1 and changes > SHRINKS * before) or (number == 0 and 0 < known < FEWEST * changes):
            break
        signs, before, on = guess, changes, guess.nonzero()[0]
        w = np.zeros(len(c))
        w[on] = solve(part(H, on), c[on] - l1[on] * signs[on])
    return _exchanges(H, c, first, l1, most)


def part(H: NDArray, at: NDArray) -> NDArray:
    """The rows and columns of some weights."""
    return H.take(at, axis=0).take(at, axis=1)


def solve(H: NDArray, right: NDArray) -> NDArray:
    """The solution for a symmetric matrix that is not negative; the shortest where there are several."""
    if not len(H):
        return right
    _, x, failed = dposv(H.T, right, lower=1)  # its own transpose, of which no turned copy is made
    return np.linalg.lstsq(H, right, rcond=1e-13)[0] if failed else x


def _exchanges(H: NDArray, c: NDArray, w: NDArray, l1: NDArray, most: float = np.inf) -> NDArray:
    """The same minimum from support to support: each step lowers the cost, so that none comes twice.

    To the minimum on a support those weights are added whose slopes exceed the penalty most, at most `JOINING` of the
    support at once, and one alone where several did not lower the cost.
    """
    w, signs, alone, settled = w.copy(), np.sign(w), False, False
    tiny = 1e-11 * float((l1 + np.abs(c)).max(initial=0.0))
    for _ in range(int(min(most, 40 * len(c) + 40))):
        at = signs.nonzero()[0]
        if settled or not len(at):
            slope = H.dot(w)
            slope -= c
            new = _joining(slope, l1, at, tiny, alone)
            if not len(new):
                return w
            signs[new] = -np.sign(slope[new])
            at = signs.nonzero()[0]
        here = w[at]
        lowest, settled = _lowest(part(H, at), c[at], l1[at], here, signs[at])
        if np.count_nonzero(lowest == here) == len(at):
            if alone:
                return w
            signs, alone, settled = np.sign(w), True, True
            continue
        w, alone = np.zeros(len(c)), False
        w[at] = lowest
        signs = np.sign(w)
    return w


def _joining(slope: NDArray, l1: NDArray, at: NDArray, tiny: float, alone: bool) -> NDArray:
    """The weights that should leave zero first; `at` are those that have."""
    excess = np.abs(slope) - l1
    excess[at] = 0.0
    top = float(excess[excess.argmax()])
    if top <= tiny or alone:
        return np.array([int(excess.argmax())] if top > tiny else [], dtype=np.intp)
    new, most = (excess > NEAR_TOP * top).nonzero()[0], max(FEW, int(JOINING * len(at)))
    return new if len(new) <= most else new[excess[new].argsort()[-most:]]


def _lowest(A: NDArray, b: NDArray, l1: NDArray, here: NDArray, signs: NDArray) -> tuple[NDArray, bool]:
    """The lowest point between weights and the minimum with their `signs`, and whether it is that minimum.

    It is `here`, where none is lower.  Free weights keep no sign.
    """
    there = solve(A, b - l1 * signs)
    turned = there * signs <= 0.0
    if not np.count_nonzero(turned) or not np.count_nonzero(turned & (l1 > 0.0)):
        return there, True
    # the cost is a parabola between the places where a weight passes through zero
    step = there - here
    crossing = (turned & (here != 0.0) & (l1 > 0.0)).nonzero()[0]
    shares = np.append(here[crossing] / -step[crossing], 1.0)
    bent = A.dot(step)
    slope, bend = float(bent.dot(here) - b.dot(step)), 0.5 * float(bent.dot(step))
    trials = here + shares[:, None] * step
    trials[np.arange(len(crossing)), crossing] = 0.0
    costs = shares * (slope + bend * shares) + np.abs(trials).dot(l1)
    best = int(costs.argmin())
    return (trials[best] if costs[best] < l1.dot(np.abs(here)) else here), False
