"""Sparse rows of a risk with one score a row, read as fast as they can be: what methods for many columns walk on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from descender.costs.cost import Vector
from descender.costs.risk import Risk
from descender.kernels.sparse_columns import sparse_squares
from descender.kernels.sparse_reads import Rows, quick_rows
from descender.methods.row_curvatures import FLAT


class SparseRows:
    """The smooth part of a risk over sparse rows; its coordinates are the parameters, as sparse rows are not centred.

    Scores are computed in the precision of X and kept in float64; what is summed over rows is summed in float64.
    """

    def __init__(self, risk: Risk):
        self.risk, self.X, self.y, self.loss = risk, risk.X, risk.y, risk.loss
        self.n, self.d = self.X.shape
        self.intercept, self.l2 = risk.intercept, risk.l2
        self.size = self.d + self.intercept
        s = np.ones(self.n) if risk.sample_weight is None else risk.sample_weight
        self.sigma = s / risk.denominator
        self.rows = quick_rows(self.X)
        if not isinstance(self.rows, Rows):
            self.rows = self.X = self.X.astype(np.float64)

    def enter(self, w: Vector) -> Vector:
        """The parameters as coordinates, in float64."""
        return w.astype(np.float64, copy=True)

    def leave(self, v: Vector) -> Vector:
        """The parameter vector of the risk."""
        return v.copy()

    leave_gradient = leave

    def scores(self, v: Vector) -> NDArray:
        """x·w + b of all rows."""
        z = (self.rows @ v[: self.d].astype(self.X.dtype)).astype(np.float64, copy=False)
        return z + v[self.d] if self.intercept else z

    def spread(self, r: NDArray) -> Vector:
        """The sum over rows of r x, with x = 1 for the intercept."""
        sums = self.rows.T @ r
        return np.append(sums, r.sum()) if self.intercept else sums

    def curvatures(self, scores: NDArray, cautious: bool = False) -> Vector:
        """The second derivatives along the coordinates; with `cautious`, by the largest curvature of the loss."""
        h = np.maximum(self.loss.curvature(scores, self.y), 0.0)
        bound = self.loss.curvature_bound
        if not np.isfinite(bound):  # where nothing bounds it, that of the score which is best for the row is a guess
            bound = np.maximum(h, np.maximum(np.abs(self.y), 1.0))
        h = self.sigma * (bound if cautious else np.where(h > 0.0, h, FLAT * bound))
        out = np.empty(self.size)
        out[: self.d] = sparse_squares(self.X, h)[0] + self.l2
        if self.intercept:
            out[self.d] = h.sum()
        return out

    def value_at(self, scores: NDArray, v: Vector) -> float:
        """The smooth cost at known scores."""
        return float(self.sigma @ self.loss.value(scores, self.y)) + 0.5 * self.l2 * float(v[: self.d] @ v[: self.d])

    quick_value = value_at
