"""The rows of a softmax risk: scores, probabilities, gradients and products with the curvature."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from descender.costs.cost import Vector
from descender.costs.risk import Risk, block_height
from descender.kernels import class_rows
from descender.kernels.sparse_columns import with_values
from descender.methods.kronecker import HEAVY, PRECISE, WIDE, Moments

FEWEST, A_COLUMN = 2000, 8
"""Rows that the metric is learnt from: so many, and so many a column. MNIST to 1e-2: 26 steps, 37 with 4."""
CHUNK = 1 << 21
"""Scores that are worked on at once.  Fewer stay in a nearer cache, but short pieces of many classes lie on many pages:
a hundred classes took a fifth longer with chunks of 1 << 16."""
MANY = 8
"""A class for so many columns, or more, and the product of all scores is faster than that of its transpose.  A hundred
classes of 40 columns: by four times."""
LARGEST = 1e15
"""Beyond this, and below its inverse, single precision does not hold the squares of numbers."""
LIGHT = 0.05
"""A share of the mean weight: rows with less are together no more of all, and are left out of what a class bends."""
SHARE = 3.0
"""Numbers of a matrix that is decomposed, times its columns, for an entry of a row and a class."""
PRODUCT = 0.3
"""What an operation of a product of matrices costs, as a share of one of a reading, whose matrices are thin."""
WILD = 1e5
"""How many times as wide as the narrowest column the widest may be: beyond, a gap drowns in single precision."""


class Classes:
    """The rows of a softmax risk with centred columns and a column of ones: parameters are (K, d + 1).

    Scores and probabilities are (K, n) and of the dtype `kind`; so are the rows, unless `rows` is another, if need be
    as a copy: of dense rows about their mean, so that they lose no digits that matter.  What is summed over rows is
    summed in float64 over blocks.
    """

    def __init__(self, risk: Risk, kind: Any = np.float64, rows: Any = None):
        self.risk, self.K, self.d, self.n = risk, risk.n_classes, risk.n_features, len(risk.y)
        ones = np.ones(self.n) if risk.sample_weight is None else risk.sample_weight
        self.sigma = ones / risk.denominator
        self.kind, rows = np.dtype(kind), np.dtype(kind if rows is None else rows)
        self.weights = self.sigma.astype(self.kind)
        self.even = float(self.sigma[0]) if risk.sample_weight is None else None
        self.chosen, self.places = risk.y.astype(np.intp), np.arange(self.n)
        self.reads = 0.0
        self.ridge = np.append(np.full(self.d, risk.l2), 0.0)
        self.mean, self.X = np.zeros(self.d), risk.X
        if risk.intercept and not risk.sparse:
            total = float(self.sigma.sum())
            self.mean = (self.sigma.astype(self.X.dtype) @ self.X).astype(np.float64) / total
        self.offset = self.mean
        if self.X.dtype != rows:
            if risk.sparse:
                self.X = with_values(self.X, self.X.data.astype(rows))
            else:
                self.X, self.offset = self._copy(rows), np.zeros(self.d)
        self.height = block_height(self.X)
        self._known: tuple[NDArray, NDArray] | None = None

    def _copy(self, dtype: Any) -> NDArray:
        """The rows about their mean, in another dtype."""
        out = np.empty(self.X.shape, dtype)
        step = block_height(self.X)
        for start in range(0, self.n, step):
            part = slice(start, start + step)
            np.subtract(self.X[part], self.mean, out=out[part], casting="same_kind")
        return out

    def _parts(self) -> Iterator[slice]:
        for start in range(0, self.n, self.height):
            yield slice(start, min(start + self.height, self.n))

    def _chunks(self) -> Iterator[slice]:
        width = max(CHUNK // self.K, 64)
        for start in range(0, self.n, width):
            yield slice(start, min(start + width, self.n))

    def enter(self, w: Vector) -> NDArray:
        """(K, d + 1) from a parameter vector of the risk."""
        W, b = self.risk.split(w)
        return np.column_stack([W, b + W @ self.mean])

    def leave(self, V: NDArray) -> Vector:
        """The parameter vector of the risk; of all intercepts that give the same cost, those whose sum is zero."""
        intercepts = V[:, self.d] - V[:, : self.d] @ self.mean
        return self.risk.join(V[:, : self.d], intercepts - intercepts.mean())

    def scores(self, V: NDArray) -> NDArray:
        """(K, n), half a reading."""
        X, W = self.X, V[:, : self.d].astype(self.X.dtype)
        shift = V[:, self.d] - V[:, : self.d] @ self.offset
        if not W.any():
            return np.repeat(shift.astype(self.kind)[:, None], self.n, axis=1)
        self.reads += 0.5
        if self.d <= MANY * self.K and not self.risk.sparse:
            Z = (W @ X.T).astype(self.kind, copy=False)
        else:
            Z = np.ascontiguousarray((X @ W.T).T, dtype=self.kind)  # a quarter faster where columns are many
        Z += shift[:, None].astype(self.kind)
        return Z

    def look(self, Z: NDArray, V: NDArray) -> tuple[float, NDArray]:
        """The smooth cost at known scores, and the probabilities, by one exponential each."""
        penalty = 0.5 * float(np.vdot(self.ridge * V, V))
        if class_rows.worth_compiling(Z):
            P, lost = class_rows.look(Z, self.chosen)
            return float(self.sigma @ lost) + penalty, P
        P, losses = np.empty_like(Z), np.empty(self.n, self.kind)
        for part in self._chunks():
            z, p = Z[:, part], P[:, part]
            np.subtract(z, z.max(axis=0), out=p)
            chosen = p[self.chosen[part], self.places[: p.shape[1]]]
            np.exp(p, out=p)
            total = p.sum(axis=0)
            p /= total
            np.subtract(np.log(total), chosen, out=losses[part])
        return float(self.sigma @ losses) + penalty, P

    def gradient(self, P: NDArray, V: NDArray) -> NDArray:
        """The gradient of the smooth cost, from the probabilities."""
        G, sums = np.zeros((self.K, self.d + 1)), np.zeros(self.K)
        for part in self._parts():
            r = P[:, part].copy() if self.even is not None else P[:, part] * self.weights[part]
            one = 1.0 if self.even is not None else self.weights[part]
            r[self.chosen[part], self.places[: r.shape[1]]] -= one
            self._add(r, part, G, sums)
        return self._complete(G, sums, 1.0 if self.even is None else self.even) + self.ridge * V

    def curve(self, P: NDArray, V: NDArray) -> NDArray:
        """The Hessian at probabilities P times V."""
        Q = self.scores(V)
        G, sums = np.zeros((self.K, self.d + 1)), np.zeros(self.K)
        for part in self._chunks():
            q, p = Q[:, part], P[:, part]
            q -= np.einsum("ki,ki->i", p, q)
            q *= p
            if self.even is None:
                q *= self.weights[part]
        for part in self._parts():
            self._add(Q[:, part], part, G, sums)
        return self._complete(G, sums, 1.0 if self.even is None else self.even) + self.ridge * V

    def along(self, P: NDArray, dZ: NDArray, V: NDArray, step: NDArray) -> tuple[float, float]:
        """The derivatives of the smooth cost at V, of probabilities P, along a step of known scores: no reading."""
        ridge = self.ridge * step
        slope, bend = float(np.vdot(ridge, V)), float(np.vdot(ridge, step))
        if class_rows.worth_compiling(dZ):
            first, second = class_rows.along(P, dZ, self.chosen, self.sigma)
            return slope + first, bend + max(second, 0.0)
        first = second = 0.0
        for part in self._chunks():
            p, z = P[:, part], dZ[:, part]
            q = p * z
            mean = q.sum(axis=0)
            first += float(self.sigma[part] @ (mean - z[self.chosen[part], self.places[: z.shape[1]]]))
            q *= z
            second += float(self.sigma[part] @ (q.sum(axis=0) - mean * mean))
        return slope + first, bend + max(second, 0.0)

    def _add(self, r: NDArray, part: slice, G: NDArray, sums: NDArray) -> None:
        """Add a block of rows times their slopes (K, rows)."""
        X = self.X if self.risk.sparse else self.X[part]
        slopes = r.astype(X.dtype, copy=False)
        G[:, : self.d] += (X.T @ slopes.T).T if self.risk.sparse else slopes @ X
        sums += r.sum(axis=1, dtype=np.float64)

    def _complete(self, G: NDArray, sums: NDArray, share: float) -> NDArray:
        """The sums over all rows of slopes times (x - mean, 1)."""
        self.reads += 0.5
        if self.risk.intercept:
            G[:, : self.d] -= np.outer(sums, self.offset)
            G[:, self.d] = sums
        G *= share
        return G

    def covariance(self, P: NDArray) -> NDArray:
        """The mean covariance of the classes."""
        total = max(float(self.sigma.sum()), 1e-300)
        if self.even is None:
            weighted = P * np.sqrt(self.weights)
            return (np.diag(P @ self.sigma) - weighted @ weighted.T) / total
        return (np.diag(P.sum(axis=1, dtype=np.float64)) - P @ P.T) * (self.even / total)

    def moments(self, P: NDArray, columns: NDArray | None = None) -> Moments:
        """What the metric at probabilities P is made of, from some rows; of all columns, or some."""
        k = self.d if columns is None else len(columns)
        step, A = self._step(k), self.covariance(P)
        h = self._bend(P, step)
        ridge = self.ridge if columns is None else np.append(self.ridge[columns], self.ridge[self.d])
        if k > WIDE:
            S = self._squares(step, columns, h[None])[0]
            return Moments(A, S, ridge, *(self._heavy(P, S) if columns is None else ()))
        return Moments(A, self._products(self._dense(step, columns), h[None])[0], ridge)

    def _squares(self, step: int, columns: NDArray | None, h: NDArray) -> NDArray:
        """Sums of h times the squares of some rows, and of h, for each line of h."""
        X, offset = self._some(step, columns)
        squared = X.multiply(X) if sparse.issparse(X) else np.square(X - offset)
        return np.column_stack([(squared.T @ h.T.astype(squared.dtype)).T, h.sum(axis=1)])

    def _heavy(self, P: NDArray, S: NDArray) -> tuple[NDArray, NDArray]:
        """The columns that weigh most, with that of ones, and their moments."""
        X = self.X
        entries = float(X.nnz if sparse.issparse(X) else X.size) * self.K
        most = int(min(max((SHARE * entries) ** (1.0 / 3.0), 50.0), HEAVY))
        heavy = np.sort(np.argpartition(S[: self.d], -most)[-most:])
        step = self._step(most)
        own = self._products(self._dense(step, heavy), self._bend(P, step)[None])
        return np.append(heavy, self.d), own[0]

    def _bend(self, P: NDArray, step: int) -> NDArray:
        """How much one row in so many bends in all classes together, as weights that sum to those of all rows."""
        some = P[:, ::step]
        h = self.sigma[::step] * (1.0 - np.einsum("ki,ki->i", some, some))
        return h * (float(self.sigma.sum()) / max(float(h.sum()), 1e-300))

    def own_moments(self, P: NDArray) -> tuple[Moments, NDArray]:
        r"""The same, and what each class bends by itself, from the same rows: (K, d + 1, d + 1) with
        :math:`\sum_i \sigma_i p_{ik} (1 - p_{ik}) x_i x_i^\top`, or their diagonals where columns are many.
        """
        step, total = self._step(self.d), float(self.sigma.sum())
        some = P[:, ::step].astype(np.float64)
        h = some * (1.0 - some) * self.sigma[::step]
        h *= total / max(float(self.sigma[::step].sum()), 1e-300)
        bends = max(float(h.sum()), 1e-300)
        if self.d > WIDE:
            own = self._squares(step, None, h)
            S = own.sum(axis=0) * (total / bends)
            return Moments(self.covariance(P), S, self.ridge, *self._heavy(P, S)), own
        if self._known is None:
            self._known = self._dense(step, None)
        own = self._products(self._known, h, LIGHT)
        S = own.sum(axis=0) * (total / bends)
        if not self.risk.intercept:
            S[self.d, self.d] = 1.0
        return Moments(self.covariance(P), S, self.ridge), own

    def own_price(self) -> float:
        """About how many readings :meth:`own_moments` and the inverses cost, by their operations."""
        rows = -(-self.n // self._step(self.d))
        if self.d > WIDE:
            return 1.0
        return PRODUCT * (rows * self.d + 2.0 * self.d**2) / (4.0 * self.n)

    def _step(self, columns: int) -> int:
        """One row in so many is one that a metric of so many columns is learnt from."""
        return max(1, -(-self.n // max(A_COLUMN * columns, FEWEST)))

    def _some(self, step: int, columns: NDArray | None) -> tuple[Any, NDArray]:
        """Those rows, of all columns or some, and what they are centred by."""
        X = self.X[::step]
        return (X, self.offset) if columns is None else (X[:, columns], self.offset[columns])

    def _dense(self, step: int, columns: NDArray | None) -> tuple[NDArray, NDArray]:
        """Those rows about their mean, with a column of ones, over the sizes of the columns; and these."""
        X, offset = self._some(step, columns)
        k = X.shape[1]
        kind = np.float64 if k <= PRECISE and self.kind == np.float64 else np.float32
        rows = np.empty((X.shape[0], k + 1), kind)
        rows[:, :k] = (X.toarray() if sparse.issparse(X) else X) - offset
        rows[:, k] = float(self.risk.intercept)
        size = np.abs(rows).max(axis=0, initial=0.0).astype(np.float64)
        size[size == 0.0] = 1.0
        rows *= (1.0 / size).astype(kind)
        return rows, size

    def _products(self, scaled: tuple[NDArray, NDArray], h: NDArray, light: float = 0.0) -> NDArray:
        """Sums of h x x' over rows that are over their sizes, in units of the columns, for each line of h."""
        rows, size = scaled
        out, units = np.empty((len(h), len(size), len(size))), np.outer(size, size)
        for S, line in zip(out, h, strict=True):
            total = float(line.sum())
            heavy = np.flatnonzero(line > light * total / len(line))
            line = line[heavy]
            line *= total / max(float(line.sum()), 1e-300)
            weighted = rows[heavy]
            weighted *= np.sqrt(line).astype(rows.dtype)[:, None]
            np.multiply(weighted.T @ weighted, units, out=S)
        if not self.risk.intercept:
            out[:, -1, -1] = 1.0
        return out


def fits_single(risk: Risk) -> bool:
    """Whether squares of the numbers in the rows stay within single precision, and columns are of similar units."""
    if risk.X.dtype == np.float32:
        return True
    values = risk.X.data if risk.sparse else np.append(risk.extremes.low, risk.extremes.high)
    largest = max(float(values.max(initial=0.0)), -float(values.min(initial=0.0)))
    if risk.sparse:
        return largest == 0.0 or 1.0 / LARGEST < largest < LARGEST
    width = risk.extremes.high - risk.extremes.low
    widest, narrowest = float(width.max(initial=0.0)), float(width[width > 0.0].min(initial=np.inf))
    return largest < LARGEST and 1.0 / LARGEST < widest <= WILD * narrowest
