r"""Fits along a path of penalty strengths, several folds of the rows at once.

Between two strengths the gradient changes by a multiple of w, which is known: so each point of a path begins with a
Newton step that needs no reading, in the metric of a Hessian that serves many strengths; and one reading of the rows
serves all folds, whose weights stand side by side as the columns of a matrix (:mod:`descender.methods.newton_path`).
Where the loss is a square, nothing is read at all: the moments of the rows tell everything
(:mod:`descender.methods.moments`).

J. Friedman, T. Hastie, R. Tibshirani, *Regularization paths for generalized linear models via coordinate descent*,
2010; R. Rifkin, R. Lippert, *Notes on regularized least squares*, 2007.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dposv

from descender.costs.risk import Risk
from descender.data.split import Folds
from descender.methods.homotopy import Homotopy
from descender.methods.moments import NOISE, Moments, Quadratic

POINT_TOL = 1e-6
"""The relative gap to which a point of a path is descended: far below the standard error of any held-out loss."""
AT_ONCE = 16
"""Strengths that are solved for before any of them is judged."""
WIDEST = 2000
"""Columns up to which a matrix of curvatures is formed for each fold."""
GUESSES = 5
"""Guesses of a support that come to rest, if they do: on columns that are not much alike three are enough."""
NEAR_TOP, JOINING = 0.3, 0.5
"""Weights join a support whose excess is above this share of the largest, at most this share of the support at once:
5 to 15 times as fast as one by one."""


class Point(NamedTuple):
    """A strength of a path: the held-out loss of each fold and its mean square over rows, the largest relative gap of
    a fold - ``proved`` or estimated -, and the parameters of the fit to all rows (of the last fold where there is none
    to all).
    """

    strength: float
    losses: NDArray
    squares: NDArray
    gap: float
    w: NDArray
    proved: bool = False


Watch = Callable[[Point], bool]
"""Sees each point as it is found; True ends the path."""
Solve = Callable[[NDArray], NDArray]
"""The weights of each fit at falling strengths, (F, d, strengths)."""


def learning(folds: Folds, whole: bool) -> NDArray[np.bool_]:
    """Which cells each fit learns from: (F, cells), with a last one of all rows if `whole`."""
    return np.vstack([folds.learn, np.ones((1, folds.learn.shape[1]), dtype=np.bool_)]) if whole else folds.learn


# --- squares


def squares_path(risk: Risk, kind: str, strengths: NDArray, folds: Folds, watch: Watch | None = None) -> list[Point]:
    """The path of a squared error, from the moments of the rows alone: exact for l2, to 1e-9 and less for l1."""
    learn = learning(folds, whole=len(folds.judge) > 1)
    moments = Moments(risk, folds.cell, learn.shape[1])
    origin = None if risk.intercept else np.zeros(risk.n_features)
    fits = Quadratic.stacked([moments.about(cells, origin) for cells in learn])
    K = len(folds.judge)
    judges = [moments.about(folds.judge[[k]], fits.mean[k], fits.level[k]) for k in range(K)]
    if kind == "l1":
        solve = _along_l1(fits, risk.l2)
    elif risk.l1 > 0:
        solve = _along_both(fits, risk.l1)
    else:
        solve = _along_l2(fits)
    points: list[Point] = []
    for start in range(0, len(strengths), AT_ONCE):
        some = strengths[start : start + AT_ONCE]
        W = solve(some)
        l1, l2 = (some, risk.l2) if kind == "l1" else (risk.l1, some)
        gaps, proved = _gaps(fits, W, l1, l2, NOISE[risk.X.dtype.itemsize])
        losses = np.array([judge.value(W[k]) for k, judge in enumerate(judges)])
        squares = np.full_like(losses, np.nan)
        if K == 1:
            squares = _square_losses(risk, folds, moments, fits, W[0])
        b = fits.level[-1] + moments.level - (fits.mean[-1] + moments.centre) @ W[-1]
        for at, strength in enumerate(some):
            told = float(gaps[at]), risk.join(W[-1, :, at], b[at]), bool(proved[at])
            points.append(Point(float(strength), losses[:, at], squares[:, at], *told))
            if watch is not None and watch(points[-1]):
                return points
    return points


def _gaps(fits: Quadratic, W: NDArray, l1: Any, l2: Any, noise: float) -> tuple[NDArray, NDArray]:
    """The largest gap of a fit at each strength, and whether it is proved."""
    proof = fits.gap(W, l1, l2, noise).max(axis=0)
    proved = proof <= POINT_TOL
    # where moments of float32 prove less, what they tell is an estimate
    return (proof if proved.all() else np.where(proved, proof, fits.gap(W, l1, l2, NOISE[8]).max(axis=0))), proved


def _along_l2(fits: Quadratic) -> Solve:
    """The weights at falling strengths of l2, by one eigendecomposition of each fit."""
    e, V = np.linalg.eigh(fits.G)
    e, along = np.maximum(e, 0.0)[..., None], V.transpose(0, 2, 1) @ fits.c[..., None]
    return lambda strengths: V @ (along / (e + strengths))


def _along_both(fits: Quadratic, l1: float) -> Solve:
    """The weights at falling strengths of l2 beside an l1 penalty, each begun at the one before."""
    last = np.zeros_like(fits.c)

    def solve(strengths: NDArray) -> NDArray:
        W = np.zeros((*fits.c.shape, len(strengths)))
        for k, (G, c) in enumerate(zip(fits.G, fits.c, strict=True)):
            for at, strength in enumerate(strengths):
                last[k] = W[k, :, at] = lasso(G, c, last[k], l1, float(strength))
        return W

    return solve


def _along_l1(fits: Quadratic, l2: float) -> Solve:
    """The weights at falling strengths of l1: from kink to kink, or from strength to strength where those are lost."""
    H, c = fits.G, fits.c
    if l2 > 0:
        H = H + l2 * np.eye(c.shape[1])
    path, last, unit = Homotopy(H, c), np.zeros_like(c), 1e-3 * np.abs(c).max(axis=1, initial=0.0)

    def solve(strengths: NDArray) -> NDArray:
        W = path.fall(strengths)
        slopes = c[:, :, None] - H @ W
        off = np.where(W != 0, np.abs(slopes - np.sign(W) * strengths), np.abs(slopes) - strengths)
        lost = off.max(axis=1, initial=0.0) > 1e-8 * (unit[:, None] + strengths)
        for k, at in np.argwhere(lost):
            W[k, :, at] = lasso(H[k], c[k], W[k, :, at - 1] if at else last[k], float(strengths[at]))
        last[:] = W[:, :, -1]
        return W

    return solve


def lasso(G: NDArray, c: NDArray, w: NDArray, l1: float | NDArray, l2: float = 0.0) -> NDArray:
    r"""The minimum of :math:`\tfrac12 w'Gw - c\cdot w + \tfrac12 l_2 |w|^2 + l_1 |w|_1`, begun at w;
    `l1` is one for all weights or one for each.

    Newton's method on the conditions of the minimum: which weights are not zero, and their signs, is guessed, the
    equations of these solved, the guess corrected.  Where guesses do not come to rest, :func:`_feature_sign`, which
    goes down with each step, does the rest.

    M. Hintermüller, K. Ito, K. Kunisch, *The primal-dual active set strategy as a semismooth Newton method*, 2003.

    >>> lasso(np.eye(3), np.array([3.0, -0.5, -2.0]), np.zeros(3), 1.0)
    array([ 2.,  0., -1.])
    """
    l1 = np.broadcast_to(np.asarray(l1, dtype=np.float64), c.shape)
    diagonal = np.maximum(np.diag(G) + l2, 1e-300)
    H = G.copy()
    H.flat[:: len(c) + 1] += l2 + 1e-13 * diagonal.max(initial=0.0)
    signs, first = None, w
    for _ in range(GUESSES):
        u = w + (c - H @ w) / diagonal
        guess = np.where(np.abs(u) > l1 / diagonal, np.sign(u), 0.0)
        if signs is not None and np.array_equal(guess, signs):
            return w
        signs, on = guess, np.flatnonzero(guess)
        w = np.zeros(len(c))
        w[on] = _solve(H[on[:, None], on], c[on] - l1[on] * signs[on])
    return _feature_sign(H, c, first, l1)


def _solve(H: NDArray, right: NDArray) -> NDArray:
    """The solution for a symmetric matrix that is not negative; the shortest where there are several."""
    if not len(H):
        return right
    _, x, failed = dposv(H, right, lower=1)
    return np.linalg.lstsq(H, right, rcond=1e-13)[0] if failed else x


def _feature_sign(H: NDArray, c: NDArray, w: NDArray, l1: NDArray) -> NDArray:
    """The same minimum from support to support: each step lowers the cost, so that none comes twice.

    To the minimum on a support those weights are added whose slopes exceed the penalty most, at most `JOINING` of the
    support at once, and one alone where several did not lower the cost.

    H. Lee, A. Battle, R. Raina, A. Ng, *Efficient sparse coding algorithms*, 2006, for one at a time.
    """
    w, signs, alone = w.copy(), np.sign(w), False
    tiny = 1e-11 * float((l1 + np.abs(c)).max(initial=0.0))
    for _ in range(40 * len(c) + 40):
        slope, at = H @ w - c, np.flatnonzero(signs)
        if not len(at) or np.abs(slope[at] + l1[at] * signs[at]).max() <= tiny:
            new = _joining(slope, l1, at, tiny, alone)
            if not len(new):
                return w
            signs[new] = -np.sign(slope[new])
            at = np.flatnonzero(signs)
        here, lowest = w[at], _lowest(H[at[:, None], at], c[at], l1[at], w[at], signs[at])
        if np.array_equal(lowest, here):
            if alone:
                return w
            signs, alone = np.sign(w), True
            continue
        w, alone = np.zeros(len(c)), False
        w[at] = lowest
        signs = np.sign(w)
    return w


def _joining(slope: NDArray, l1: NDArray, at: NDArray, tiny: float, alone: bool) -> NDArray:
    """The weights that should leave zero first; `at` are those that have."""
    excess = np.abs(slope) - l1
    excess[at] = 0.0
    top = float(excess.max(initial=0.0))
    if top <= tiny or alone:
        return np.array([int(excess.argmax())] if top > tiny else [], dtype=np.intp)
    new, most = np.flatnonzero(excess > NEAR_TOP * top), max(1, int(JOINING * len(at)), 4 * (not len(at)))
    return new if len(new) <= most else new[np.argpartition(-excess[new], most - 1)[:most]]


def _lowest(A: NDArray, b: NDArray, l1: NDArray, here: NDArray, signs: NDArray) -> NDArray:
    """The lowest point between weights and the minimum with their `signs`; `here`, where none is lower."""
    there = _solve(A, b - l1 * signs)
    if (there * signs > 0.0).all():
        return there
    # the cost is a parabola between the places where a weight passes through zero
    crossing = np.where(here * there < 0, here / np.where(here == there, 1.0, here - there), 1.0)
    shares = np.sort(np.append(crossing[crossing < 1.0], [0.0, 1.0]))
    trials = here[:, None] + (there - here)[:, None] * shares
    trials[(crossing[:, None] == shares) & (crossing[:, None] < 1.0)] = 0.0
    costs = (trials * (0.5 * (A @ trials) - b[:, None])).sum(axis=0) + l1 @ np.abs(trials)
    return trials[:, int(costs.argmin())]


def _square_losses(risk: Risk, folds: Folds, moments: Moments, fits: Quadratic, W: NDArray) -> NDArray:
    """The mean square of a judging row's loss for each strength; of a single fold."""
    rows = np.flatnonzero(folds.judges(0))
    s = np.ones(len(rows)) if risk.sample_weight is None else risk.sample_weight[rows]
    shift = fits.level[0] + moments.level - (fits.mean[0] + moments.centre) @ W
    total = np.zeros(W.shape[1])
    for start in range(0, len(rows), 4096):
        part = rows[start : start + 4096]
        R = np.asarray(risk.X[part] @ W.astype(risk.X.dtype)) + (shift - risk.y[part][:, None])
        total += s[start : start + 4096] @ (0.5 * R * R) ** 2
    return total[None, :] / s.sum()


# --- leaving out one row at a time


def leave_one_out(risk: Risk, strengths: NDArray) -> list[Point]:
    r"""The l2 path of a squared error, judged by the exact residual of each row in the fit to all others.

    .. math:: \frac{y_i - \hat y_i}{1 - h_i},\qquad h_i = \sigma_i \bigl(1 + x_i'(G + \lambda I)^{-1} x_i\bigr)

    for rows about their mean.  R. Cook, S. Weisberg, *Residuals and Influence in Regression*, 1982, §2.2.
    """
    n, d = risk.X.shape
    s = np.ones(n) if risk.sample_weight is None else risk.sample_weight
    sigma = s / s.sum()
    X = np.asarray(risk.X.toarray() if risk.sparse else risk.X, dtype=np.float64)
    mean, level = (sigma @ X, float(sigma @ risk.y)) if risk.intercept else (np.zeros(d), 0.0)
    X, y = X - mean, risk.y - level
    G, along_y = (X * sigma[:, None]).T @ X, X.T @ (sigma * y)
    e, V = np.linalg.eigh(G)
    along = X @ V
    inverse = 1.0 / (np.maximum(e, 0.0)[:, None] + strengths)
    W = V @ ((V.T @ along_y)[:, None] * inverse)
    leverage = sigma[:, None] * (float(risk.intercept) + along**2 @ inverse)
    residual = (y[:, None] - X @ W) / np.maximum(1.0 - leverage, 1e-12)
    losses = 0.5 * residual**2
    fit = Quadratic(G, along_y, float(sigma @ y**2), mean, level)
    gaps = fit.gap(W, 0.0, strengths, NOISE[8])
    return [
        Point(
            float(strength), sigma @ losses[:, [at]], sigma @ losses[:, [at]] ** 2, float(gaps[at]),
            risk.join(W[:, at], level - mean @ W[:, at]), True,
        )
        for at, strength in enumerate(strengths)
    ]  # fmt: skip


def rotated(risk: Risk) -> tuple[Risk, Callable[[NDArray], NDArray]]:
    r"""A risk with as many columns as rows for one with more, and the way back: an l2 penalty sees only lengths.

    With :math:`XX' = U S U'` the rows are those of :math:`U S^{1/2}`, and :math:`w = X' U S^{-1/2} v`.
    """
    X = risk.X.astype(np.float64, copy=False)
    S, U = np.linalg.eigh(X @ X.T)
    kept = 1e-12 * S[-1] < S
    root = np.sqrt(S[kept])
    small = Risk(
        U[:, kept] * root, risk.y, risk.loss,
        l2=risk.l2, intercept=risk.intercept, sample_weight=risk.sample_weight,
        n_classes=risk.n_classes if risk.loss.scores_per_class else None,
    )  # fmt: skip

    def back(v: NDArray) -> NDArray:
        W, b = small.split(v)
        return risk.join((X.T @ (U[:, kept] @ (W / root).T)).T, b)

    return small, back
