"""A risk seen from the centre of its columns, and what bends it: what the fast methods walk on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from descender.costs.cost import Vector
from descender.costs.risk import BLOCK_ROWS
from descender.kernels.sparse_columns import sparse_gram, sparse_squares
from descender.methods.reads import Reads
from descender.methods.row_curvatures import FLAT, heavy, row_curvatures

FINE_JITTER, ROUGH_JITTER = 1e-14, 2e-7
"""What the diagonal of a metric gains, as a share of it; the second where the Hessian was summed in float32."""
FULL = 3
"""Rows a column below which each has a direction of its own: none is left out of a Hessian."""


class Centred(Reads):
    """The smooth part of a risk, whose second derivatives are sums over its rows, too."""

    @property
    def jitter(self) -> float:
        """What the diagonal of a metric gains, as a share of it."""
        return FINE_JITTER if self.unit is None or self.tied else ROUGH_JITTER

    def worth(self, scores: NDArray) -> int:
        """How many rows a Hessian would be made of."""
        if self.unit is None or self.n < FULL * self.d:
            return self.n
        return len(heavy(self.weights(scores, cautious=False))[0])

    def weights(self, scores: NDArray, cautious: bool) -> NDArray:
        """What each row weighs in a Hessian."""
        return self.sigma * row_curvatures(self.loss, scores, self.y, FLAT, cautious)

    def hessian(
        self,
        scores: NDArray,
        cautious: bool = False,
        share: float = 1.0,
        unit: Vector | None = None,
        whole: bool = False,
    ) -> NDArray:
        """The second derivatives at known scores; with `cautious`, by the largest curvature that the loss can have.

        Of standardised rows it takes no more than a `share`, unless the `whole` is asked for; others are standardised
        by a `unit` that is given.
        """
        h = self.weights(scores, cautious)
        whole = whole or self.unit is None or self.n < FULL * self.d
        h, rows = (h, None) if whole else heavy(h, share)
        H = self.moment(h, rows, unit)
        H[np.arange(self.d), np.arange(self.d)] += self.l2
        return H

    def moment(self, h: NDArray, chosen: NDArray | None = None, unit: Vector | None = None) -> NDArray:
        """The sum over rows, or those `chosen`, of h x x', with x = 1 for the intercept.

        Of standardised rows it is summed in their own float32; others are brought to a `unit` that is given.
        """
        H = np.zeros((self.size, self.size))
        unit = unit if self.unit is None else self.unit
        dtype = np.float64 if unit is None else np.float32
        edge, root = np.zeros(self.d), np.sqrt(h).astype(dtype)
        height = self.n if sparse.issparse(self.X) else BLOCK_ROWS  # tall blocks: each adds to a whole matrix
        for start in range(0, len(h), height):
            part = slice(start, min(start + height, len(h)))
            if sparse.issparse(self.X):
                H[: self.d, : self.d] += sparse_gram(self.X, h)
                edge += self.X.T @ h
                continue
            if self.unit is None:
                scaled = self._standard(part, unit) if unit is not None else self.X[part] - self.mean
            else:
                scaled = self.X[part].copy() if chosen is None else self.X.take(chosen[part], axis=0)
            scaled *= root[part, None]
            H[: self.d, : self.d] += scaled.T @ scaled
            edge += scaled.T @ root[part]
        if self.intercept:
            H[self.d, : self.d] = H[: self.d, self.d] = edge
            H[self.d, self.d] = h.sum()
        if unit is not None:
            unit = np.append(unit, np.ones(self.size - self.d))
            H *= unit[:, None]
            H *= unit
        if self.tied:
            edge = edge if unit is None else edge * unit
            if unit is not None:  # what float32 loses is a share of these, and not of what is added
                H[np.diag_indices(self.d)] *= 1.0 + ROUGH_JITTER
            H += np.outer(edge, self.mean) + np.outer(self.mean, edge + float(h.sum()) * self.mean)
        return H

    def _standard(self, part: slice, unit: Vector) -> NDArray:
        """Some rows from the centre in a unit, in float32."""
        out = np.empty((part.stop - part.start, self.d), dtype=np.float32)
        mean, inverse = self.mean.astype(self.X.dtype), (1.0 / unit).astype(self.X.dtype)
        for start in range(0, len(out), self.height):
            rows = self.X[part.start + start : min(part.start + start + self.height, part.stop)] - mean
            np.multiply(rows, inverse, out=out[start : start + self.height], casting="same_kind")
        return out

    def product(self, h: NDArray, p: Vector) -> Vector:
        """The product of :meth:`moment` and p, in the dtype of X."""
        w, shift = self._inner(p, self.X.dtype)
        weights, moved = h.astype(self.X.dtype), self.X.dtype.type(shift)
        sums, total = np.zeros(self.d), 0.0
        for part, rows in self._blocks(self.X.dtype):
            r = rows @ w
            r += moved
            r *= weights[part]
            sums += r @ rows if isinstance(rows, np.ndarray) else rows.T @ r
            total += float(np.add.reduce(r))
        return np.append(self._outer(sums, total), total)[: self.size]

    def curvatures(self, scores: NDArray, cautious: bool = False) -> Vector:
        """The diagonal of :meth:`hessian`, for rows with too many columns for the whole."""
        diagonal = self.diagonal(self.weights(scores, cautious))
        diagonal[: self.d] += self.l2
        return diagonal

    def diagonal(self, h: NDArray) -> Vector:
        """That of :meth:`moment`."""
        diagonal = np.empty(self.size)
        diagonal[: self.d] = self._squares(h)
        if self.intercept:
            diagonal[self.d] = h.sum()
        if self.tied:
            diagonal += float(h.sum()) * self.mean**2
        return diagonal

    def _squares(self, h: NDArray) -> NDArray:
        """The sum over rows of h x², column by column."""
        if sparse.issparse(self.X):
            return sparse_squares(self.X, h)[0]
        sums, weights = np.zeros(self.d), h.astype(self.X.dtype)
        mean = None if self.unit is not None or self.far else self.mean.astype(self.X.dtype)
        for part, rows in self._blocks(self.X.dtype):
            sums += np.square(rows if mean is None else rows - mean).T @ weights[part]
        return sums if self.unit is None else sums * self.unit**2
