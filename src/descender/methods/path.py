r"""Fits along a path of penalty strengths, several folds of the rows at once.

Between two strengths the gradient changes by a multiple of w, which is known: so each point of a path begins with a
Newton step that needs no reading, in the metric of a Hessian that serves many strengths; and one reading of the rows
serves all folds, whose weights stand side by side as the columns of a matrix (:mod:`descender.methods.newton_path`).
Where the loss is a square, nothing is read at all: the moments of the rows tell everything (:class:`Moments`).

J. Friedman, T. Hastie, R. Tibshirani, *Regularization paths for generalized linear models via coordinate descent*,
2010; R. Rifkin, R. Lippert, *Notes on regularized least squares*, 2007.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from descender.costs.risk import Risk
from descender.data.split import Folds
from descender.methods.centred import column_facts

POINT_TOL = 1e-6
"""The relative gap to which a point of a path is descended: far below the standard error of any held-out loss."""
WIDEST = 2000
"""Columns up to which a matrix of curvatures is formed for each fold."""


class Point(NamedTuple):
    """A strength of a path: the held-out loss of each fold and its mean square over rows, the largest relative gap of
    a fold, and the parameters of the fit to all rows (of the last fold where there is none to all).
    """

    strength: float
    losses: NDArray
    squares: NDArray
    gap: float
    w: NDArray


Watch = Callable[[Point], bool]
"""Sees each point as it is found; True ends the path."""


def learning(folds: Folds, whole: bool) -> NDArray[np.bool_]:
    """Which cells each fit learns from: (F, cells), with a last one of all rows if `whole`."""
    return np.vstack([folds.learn, np.ones((1, folds.learn.shape[1]), dtype=np.bool_)]) if whole else folds.learn


# --- squares


class Moments:
    """Sums over the rows of each cell of 1, x, xx', xy, y and yy, about a common centre, in float64."""

    def __init__(self, risk: Risk, cell: NDArray, cells: int):
        n, d = risk.X.shape
        s = np.ones(n) if risk.sample_weight is None else risk.sample_weight
        self.centre = np.zeros(d)
        self.level = 0.0
        if risk.intercept:
            self.level = float(s @ risk.y) / float(s.sum())
            if not risk.sparse:
                self.centre = column_facts(risk.X, s, centre=True).mean
        self.count, self.first = np.zeros(cells), np.zeros((cells, d))
        self.gram, self.cross = np.zeros((cells, d, d)), np.zeros((cells, d))
        self.sum, self.square = np.zeros(cells), np.zeros(cells)
        height = n if risk.sparse else max(4096, 64 * cells)
        for start in range(0, n, height):
            part = slice(start, start + height)
            for c in np.unique(cell[part]):
                rows = start + np.flatnonzero(cell[part] == c)
                self._add(c, risk.X[rows], risk.y[rows] - self.level, s[rows])

    def _add(self, c: int, X: Any, y: NDArray, s: NDArray) -> None:
        if sparse.issparse(X):
            scaled = X.multiply(np.sqrt(s)[:, None]).tocsr()
            self.gram[c] += (scaled.T @ scaled).toarray()
        else:
            X = X - self.centre.astype(X.dtype)
            scaled = X * np.sqrt(s).astype(X.dtype)[:, None]
            self.gram[c] += scaled.T @ scaled
        self.count[c] += s.sum()
        self.first[c] += X.T @ s.astype(X.dtype)
        self.cross[c] += X.T @ (s * y).astype(X.dtype)
        self.sum[c] += s @ y
        self.square[c] += s @ (y * y)

    def about(self, cells: NDArray, mean: NDArray | None = None, level: float = 0.0) -> Quadratic:
        """The mean squared error over some cells as a quadratic of the weights, about a mean or about their own."""
        n = self.count[cells].sum()
        first, total = self.first[cells].sum(axis=0) / n, self.sum[cells].sum() / n
        if mean is None:
            mean, level = first, float(total)
        G = self.gram[cells].sum(axis=0) / n
        G = G - np.outer(first, mean) - np.outer(mean, first) + np.outer(mean, mean)
        c = self.cross[cells].sum(axis=0) / n - level * first - total * mean + level * mean
        square = self.square[cells].sum() / n - 2.0 * level * total + level**2
        return Quadratic(G, c, float(square), mean, level)


class Quadratic(NamedTuple):
    """Half of ``square - 2 c·w + w'Gw``: the mean squared error of rows whose columns and target lie about a mean."""

    G: NDArray
    c: NDArray
    square: float
    mean: NDArray
    level: float

    def value(self, W: NDArray) -> NDArray:
        """At the columns of W."""
        return 0.5 * (self.square - 2.0 * (self.c @ W) + np.einsum("jl,jl->l", W, self.G @ W))


def squares_path(risk: Risk, kind: str, strengths: NDArray, folds: Folds, watch: Watch | None = None) -> list[Point]:
    """The path of a squared error, from the moments of the rows alone: exact for l2, to 1e-9 and less for l1."""
    learn = learning(folds, whole=len(folds.judge) > 1)
    moments = Moments(risk, folds.cell, learn.shape[1])
    origin = None if risk.intercept else np.zeros(risk.n_features)
    fits = [moments.about(cells, origin) for cells in learn]
    judges = [moments.about(np.array([folds.judge[k]]), fits[k].mean, fits[k].level) for k in range(len(folds.judge))]
    if kind == "l2" and risk.l1 == 0:
        solved, gaps = [_ridge(fit, strengths) for fit in fits], np.zeros(len(strengths))
    else:
        solved, gaps = _lassos(fits, kind, strengths, risk)
    losses = np.array([judges[k].value(solved[k]) for k in range(len(judges))])
    squares = np.full_like(losses, np.nan)
    if len(judges) == 1:
        squares = _square_losses(risk, folds, moments, fits[0], solved[0])
    points = []
    for at, strength in enumerate(strengths):
        w = solved[-1][:, at]
        b = fits[-1].level + moments.level - (fits[-1].mean + moments.centre) @ w
        points.append(Point(float(strength), losses[:, at], squares[:, at], float(gaps[at]), risk.join(w, b)))
        if watch is not None and watch(points[-1]):
            break
    return points


def _ridge(fit: Quadratic, strengths: NDArray) -> NDArray:
    """The weights for each strength, (d, strengths), by one eigendecomposition."""
    e, V = np.linalg.eigh(fit.G)
    return V @ ((V.T @ fit.c)[:, None] / (np.maximum(e, 0.0)[:, None] + strengths))


def _lassos(fits: list[Quadratic], kind: str, strengths: NDArray, risk: Risk) -> tuple[list[NDArray], NDArray]:
    """The weights for each strength in turn, each begun at the one before; and the largest relative gap of a fold."""
    solved = [np.zeros((risk.n_features, len(strengths))) for _ in fits]
    gaps = np.zeros(len(strengths))
    for fit, W in zip(fits, solved, strict=True):
        w = np.zeros(risk.n_features)
        for at, strength in enumerate(strengths):
            l1, l2 = (strength, risk.l2) if kind == "l1" else (risk.l1, strength)
            w = W[:, at] = lasso(fit.G, fit.c, w, l1, l2)
            gaps[at] = max(gaps[at], _lasso_gap(fit, w, l1, l2))
    return solved, gaps


def lasso(G: NDArray, c: NDArray, w: NDArray, l1: float, l2: float = 0.0) -> NDArray:
    r"""The minimum of :math:`\tfrac12 w'Gw - c\cdot w + \tfrac12 l_2 |w|^2 + l_1 |w|_1`, begun at w.

    Newton's method on the conditions of the minimum: which weights are not zero, and their signs, is guessed, the
    equations of these solved, the guess corrected.  Where guesses do not come to rest, :func:`_feature_sign`, which
    goes down with each step, does the rest.

    M. Hintermüller, K. Ito, K. Kunisch, *The primal-dual active set strategy as a semismooth Newton method*, 2003.

    >>> lasso(np.eye(3), np.array([3.0, -0.5, -2.0]), np.zeros(3), 1.0)
    array([ 2.,  0., -1.])
    """
    diagonal = np.maximum(np.diag(G) + l2, 1e-300)
    H = G.copy()
    H.flat[:: len(c) + 1] += l2 + 1e-13 * diagonal.max(initial=0.0)
    signs, first = None, w
    for _ in range(12):
        u = w + (c - H @ w) / diagonal
        guess = np.where(np.abs(u) > l1 / diagonal, np.sign(u), 0.0)
        if signs is not None and np.array_equal(guess, signs):
            return w
        signs, on = guess, np.flatnonzero(guess)
        w = np.zeros(len(c))
        w[on] = _solve(H[on[:, None], on], c[on] - l1 * signs[on])
    return _feature_sign(H, c, first, l1)


def _solve(H: NDArray, right: NDArray) -> NDArray:
    """The solution for a symmetric matrix that is not negative; the shortest where there are several."""
    try:
        return cho_solve(cho_factor(H, lower=True, check_finite=False), right, check_finite=False)
    except LinAlgError:
        return np.linalg.lstsq(H, right, rcond=1e-13)[0]


def _feature_sign(H: NDArray, c: NDArray, w: NDArray, l1: float) -> NDArray:
    """The same minimum by single exchanges: each step lowers the cost, so that no guess comes twice.

    H. Lee, A. Battle, R. Raina, A. Ng, *Efficient sparse coding algorithms*, 2006.
    """
    w, signs, tiny = w.copy(), np.sign(w), 1e-11 * (l1 + float(np.abs(c).max(initial=0.0)))
    for _ in range(20 * len(c) + 20):
        slope = H @ w - c
        on = signs != 0
        if not on.any() or np.abs(slope[on] + l1 * signs[on]).max() <= tiny:
            excess = np.where(on, 0.0, np.abs(slope) - l1)
            new = int(excess.argmax())
            if excess[new] <= tiny:
                return w
            signs[new] = -np.sign(slope[new])
            on = signs != 0
        at = np.flatnonzero(on)
        there = _solve(H[at[:, None], at], c[at] - l1 * signs[at])
        here, move = w[at], there - w[at]
        # the cost is a parabola between the places where a weight passes through zero
        crossing = np.where(here * there < 0, here / np.where(move == 0, 1.0, here - there), 1.0)
        shares = np.unique(np.append(crossing, 1.0))
        trials = here[:, None] + move[:, None] * shares
        trials[(crossing[:, None] == shares) & (crossing[:, None] < 1.0)] = 0.0
        A = H[at[:, None], at]
        costs = 0.5 * np.einsum("jt,jt->t", trials, A @ trials) - c[at] @ trials + l1 * np.abs(trials).sum(axis=0)
        lowest = trials[:, int(costs.argmin())]
        if np.array_equal(lowest, here):
            return w
        w[at], signs[at] = lowest, np.sign(lowest)
    return w


def _lasso_gap(fit: Quadratic, w: NDArray, l1: float, l2: float) -> float:
    """The duality gap, over the cost."""
    Gw = fit.G @ w
    u, ww, cw = fit.c - Gw, float(w @ Gw), float(fit.c @ w)
    primal = 0.5 * (fit.square - 2 * cw + ww) + l1 * float(np.abs(w).sum()) + 0.5 * l2 * float(w @ w)
    largest = float(np.abs(u).max(initial=0.0))
    share = 1.0 if l2 > 0 or largest <= l1 else l1 / largest
    conjugate = float(np.sum(np.maximum(np.abs(u) - l1, 0.0) ** 2)) / (2.0 * l2) if l2 > 0 else 0.0
    dual = share * (fit.square - cw) - 0.5 * share**2 * (fit.square - 2 * cw + ww) - conjugate
    return max(primal - dual, 0.0) / max(primal, 1e-3 * fit.square, 1e-300)


def _square_losses(risk: Risk, folds: Folds, moments: Moments, fit: Quadratic, W: NDArray) -> NDArray:
    """The mean square of a judging row's loss for each strength; of a single fold."""
    rows = np.flatnonzero(folds.judges(0))
    s = np.ones(len(rows)) if risk.sample_weight is None else risk.sample_weight[rows]
    shift = fit.level + moments.level - (fit.mean + moments.centre) @ W
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
    e, V = np.linalg.eigh((X * sigma[:, None]).T @ X)
    along = X @ V
    inverse = 1.0 / (np.maximum(e, 0.0)[:, None] + strengths)
    W = V @ ((along.T @ (sigma * y))[:, None] * inverse)
    leverage = sigma[:, None] * (float(risk.intercept) + along**2 @ inverse)
    residual = (y[:, None] - X @ W) / np.maximum(1.0 - leverage, 1e-12)
    losses = 0.5 * residual**2
    return [
        Point(
            float(strength), sigma @ losses[:, [at]], sigma @ losses[:, [at]] ** 2, 0.0,
            risk.join(W[:, at], level - mean @ W[:, at]),
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
