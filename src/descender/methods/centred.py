"""A risk seen from the centre of its columns, read once a gradient: what the fast methods walk on."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from descender.costs.cost import Vector
from descender.costs.risk import Risk, block_height

FAR = 1e3
"""Deviations of a column from zero beyond which its products lose digits that matter."""
FLAT = 1e-4
"""What a row on a straight part of its loss counts for in the metric, as a share of the largest curvature."""


class Reading(NamedTuple):
    """What one reading of the rows tells at a point: the smooth cost, its gradient, and the scores."""

    value: float
    gradient: Vector
    scores: NDArray


class Columns(NamedTuple):
    """The weighted mean of each column, the sum of its squares about it, and the largest square."""

    mean: Vector
    squares: Vector
    largest: Vector


class Centred:
    r"""The smooth part of a risk with one score a row, in the coordinates :math:`v = (w, b + \mu\cdot w)`.

    Columns far from zero then do not tilt the intercept; where one is very `far`, the rows are moved before they are
    multiplied, so that scores keep their digits.  ``sigma`` are the weights of the rows in the mean; a
    subsample carries weights that estimate the whole.  Sparse rows are not centred.
    """

    def __init__(self, risk: Risk, X: Any, y: NDArray, sigma: NDArray, mean: Vector, far: bool = False):
        self.risk, self.loss, self.X, self.y, self.sigma, self.mean = risk, risk.loss, X, y, sigma, mean
        self.n, self.d = X.shape
        self.intercept, self.l2 = risk.intercept, risk.l2
        self.size = self.d + self.intercept
        self.height, self.far = block_height(X), far

    @classmethod
    def of(cls, risk: Risk) -> tuple[Centred, Columns]:
        """All rows of a risk, at the price of one reading for the means of the columns."""
        ones = np.ones(risk.n_samples or 0) if risk.sample_weight is None else risk.sample_weight
        sigma = ones / risk.denominator
        columns = column_facts(risk.X, sigma, centre=risk.intercept and not risk.sparse)
        far = bool(np.any(columns.mean**2 * sigma.sum() > FAR**2 * columns.squares))
        return cls(risk, risk.X, risk.y, sigma, columns.mean, far), columns

    def sample(self, rows: NDArray, weights: NDArray | float) -> Centred:
        """Some rows, whose weights in the mean are multiplied by `weights`."""
        return Centred(self.risk, self.X[rows], self.y[rows], self.sigma[rows] * weights, self.mean, self.far)

    def restricted(self, columns: NDArray) -> Centred:
        """Some columns only."""
        X = self.X[:, columns]
        return Centred(self.risk, X, self.y, self.sigma, self.mean[columns], self.far)

    def enter(self, w: Vector) -> Vector:
        """The coordinates of a parameter vector of the risk."""
        v = w.astype(np.float64, copy=True)
        if self.intercept:
            v[self.d] += self.mean @ w[: self.d]
        return v

    def leave(self, v: Vector) -> Vector:
        """The parameter vector of the risk with these coordinates."""
        w = v.copy()
        if self.intercept:
            w[self.d] -= self.mean @ v[: self.d]
        return w

    def leave_gradient(self, gradient: Vector) -> Vector:
        """The gradient by the risk's own parameters."""
        g = gradient.copy()
        if self.intercept:
            g[: self.d] += gradient[self.d] * self.mean
        return g

    def _blocks(self) -> Any:
        for start in range(0, self.n, self.height):
            yield slice(start, min(start + self.height, self.n))

    def read(self, v: Vector) -> Reading:
        """The smooth cost, its gradient and the scores at v, reading each row once."""
        w = v[: self.d].astype(self.X.dtype)
        shift = v[self.d] if self.intercept else 0.0
        shift, slant = (shift, 0.0) if self.far else (shift - self.mean @ v[: self.d], 1.0)
        scores = np.empty(self.n)
        gradient = np.zeros(self.size)
        total = slopes = 0.0
        for part in self._blocks():
            X, y = self.X[part], self.y[part]
            X = (X - self.mean).astype(X.dtype, copy=False) if self.far else X
            z = scores[part] = X @ w + shift
            total += float(self.sigma[part] @ self.loss.value(z, y))
            r = self.sigma[part] * self.loss.slope(z, y)
            gradient[: self.d] += X.T @ r.astype(X.dtype, copy=False)
            slopes += float(r.sum())
        gradient[: self.d] += self.l2 * v[: self.d] - slant * slopes * self.mean
        if self.intercept:
            gradient[self.d] = slopes
        return Reading(total + self.ridge(v), gradient, scores)

    def scores(self, v: Vector) -> NDArray:
        """The scores at v, in float64."""
        out = np.empty(self.n)
        for part in self._blocks():
            out[part] = (self.X[part] - self.mean if self.far else self.X[part]) @ v[: self.d]
        shift = 0.0 if self.far else self.mean @ v[: self.d]
        return out + ((v[self.d] if self.intercept else 0.0) - shift)

    def spread(self, r: NDArray) -> Vector:
        """The sum over rows of r x, with x = 1 for the intercept, in float64."""
        out = np.zeros(self.size)
        for part in self._blocks():
            out[: self.d] += (self.X[part] - self.mean if self.far else self.X[part]).T @ r[part]
        total = float(r.sum())
        if not self.far:
            out[: self.d] -= total * self.mean
        if self.intercept:
            out[self.d] = total
        return out

    def ridge(self, v: Vector) -> float:
        """The l2 penalty."""
        return 0.5 * self.l2 * float(v[: self.d] @ v[: self.d])

    def value_at(self, scores: NDArray, v: Vector) -> float:
        """The smooth cost at known scores."""
        return float(self.sigma @ self.loss.value(scores, self.y)) + self.ridge(v)

    def _weights(self, scores: NDArray, cautious: bool) -> NDArray:
        curvature, bound = np.maximum(self.loss.curvature(scores, self.y), 0.0), self.loss.curvature_bound
        if not np.isfinite(bound):  # where nothing bounds it, that of the score which is best for the row is a guess
            bound = np.maximum(curvature, np.maximum(np.abs(self.y), 1.0))
        return self.sigma * (bound if cautious else np.where(curvature > 0.0, curvature, FLAT * bound))

    def hessian(self, scores: NDArray, cautious: bool = False) -> NDArray:
        """The second derivatives at known scores; with `cautious`, by the largest curvature that the loss can have."""
        H = self.moment(self._weights(scores, cautious))
        H[np.arange(self.d), np.arange(self.d)] += self.l2
        return H

    def moment(self, h: NDArray) -> NDArray:
        """The sum over rows of h x x', with x = 1 for the intercept."""
        H = np.zeros((self.size, self.size))
        edge = np.zeros(self.d)
        for part in self._blocks():
            X = self.X[part]
            if sparse.issparse(X):
                scaled = X.multiply(np.sqrt(h[part])[:, None]).tocsr()
                H[: self.d, : self.d] += (scaled.T @ scaled).toarray()
                edge += X.T @ h[part]
                continue
            centred = X - self.mean
            scaled = centred * np.sqrt(h[part])[:, None]
            H[: self.d, : self.d] += scaled.T @ scaled
            edge += centred.T @ h[part]
        if self.intercept:
            H[self.d, : self.d] = H[: self.d, self.d] = edge
            H[self.d, self.d] = h.sum()
        return H

    def curvatures(self, scores: NDArray, cautious: bool = False) -> Vector:
        """The diagonal of :meth:`hessian`, for rows with too many columns for the whole."""
        h = self._weights(scores, cautious)
        diagonal = np.empty(self.size)
        squared = self.X.multiply(self.X) if sparse.issparse(self.X) else np.square(self.X - self.mean)
        diagonal[: self.d] = squared.T @ h + self.l2
        if self.intercept:
            diagonal[self.d] = h.sum()
        return diagonal


def column_facts(X: Any, sigma: NDArray, centre: bool) -> Columns:
    """Means, sums of squares and largest squares of the columns, by blocks of rows, accumulated in float64.

    Squares are taken about the first row, then moved to the mean: columns far from zero keep their digits.
    """
    n, d = X.shape
    if sparse.issparse(X):
        squared = X.multiply(X)
        largest = np.zeros(d) if n == 0 else np.asarray(abs(X).max(axis=0).todense()).ravel() ** 2
        return Columns(np.zeros(d), squared.T @ sigma, largest)
    origin = X[0].astype(np.float64) if centre else np.zeros(d)
    sums, squares, largest = np.zeros(d), np.zeros(d), np.zeros(d)
    height = block_height(X)
    for start in range(0, n, height):
        part = slice(start, min(start + height, n))
        moved = X[part] - origin
        sums += sigma[part] @ moved
        np.square(moved, out=moved)
        squares += sigma[part] @ moved
        np.maximum(largest, moved.max(axis=0), out=largest)
    total = float(sigma.sum())
    mean = origin + sums / total if centre else np.zeros(d)
    offset = mean - origin
    return Columns(mean, np.maximum(squares - total * offset**2, 0.0), largest + offset**2)
