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
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from descender.costs.risk import Risk
from descender.data.split import Folds
from descender.methods.moments import NOISE, Quadratic

POINT_TOL = 1e-6
"""The relative gap to which a point of a path is descended: far below the standard error of any held-out loss."""
WIDEST = 2000
"""Columns up to which a matrix of curvatures is formed for each fold."""


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
