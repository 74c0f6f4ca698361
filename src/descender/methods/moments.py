r"""The second moments of the rows: a mean squared error is a quadratic that they know, and no row needs a second look.

Rows are read once, in blocks.  Of each block stands :math:`[x - a, 1, y - c]` side by side in the dtype of X, whose
symmetric product holds every moment; the products of the blocks are summed in float64.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from descender.costs.dual_rows import row_weights
from descender.costs.risk import BLOCK_ROWS, Risk
from descender.methods.column_facts import Columns, glance

NEAR = 3.0
"""Deviations of a column from zero up to which its moments are taken about zero: they lose one digit at most."""
PRODUCT_BYTES = 1024 * 1024
"""About the bytes of a block."""
FEW, RUNS = 300, (512, 1024)
"""Rows whose products are summed in float32, of up to so many columns and of more: of less rows a product costs more to
add to the sum than to make, of more it loses digits."""
ALIGNED = 8
"""Numbers of which the rows of a product have a multiple: with zeros behind, 47 columns take two thirds of the time."""
NOISE = {4: (max(RUNS) + 8) * 2.0**-24, 8: 64 * 2.0**-52}
"""What a moment loses in summation at most, as a share of the sizes of its columns, by the bytes of a number: in few of
them half an ulp for each row of a run, whatever the order of the sum.  Equal rows lose a good part of that."""


class Moments:
    """Sums over the rows of each cell of 1, x, xx', xy, y and yy, about a common centre, in float64.

    `cell` (n,) numbers the cell of each row; without it all rows are one cell.  `columns` are what some rows show of
    theirs, where that is known.  Of dense rows y is what is left of the targets by the weights of a `guess`, about the
    centre; their own squares are the ``spread``.  ``noise`` is the share of the sizes of two columns that the sums of
    their products may be off by.
    """

    def __init__(
        self,
        risk: Risk,
        cell: NDArray | None = None,
        cells: int = 1,
        columns: Columns | None = None,
        guess: NDArray | None = None,
    ):
        n, d = risk.X.shape
        self.run, self.guess = (
            RUNS[int(d > FEW)],
            None if guess is None or not guess.any() else guess.astype(risk.X.dtype),
        )
        self.noise = (self.run + 8) * 2.0**-24 if risk.X.dtype == np.float32 else NOISE[8]
        s = risk.sample_weight
        self.centre, self.level = np.zeros(d), 0.0
        if risk.intercept:
            self.level = float(np.average(risk.y, weights=s))
            if not risk.sparse:
                self.centre = centre_of(risk, columns)
        self.moved = bool(self.centre.any())
        self.count, self.first = np.zeros(cells), np.zeros((cells, d))
        self.gram, self.cross = np.zeros((cells, d, d)), np.zeros((cells, d))
        self.sum, self.square, self.spread = np.zeros(cells), np.zeros(cells), np.zeros(cells)
        width = -(-(d + 2) // ALIGNED) * ALIGNED
        runs = min(max(PRODUCT_BYTES // (width * risk.X.dtype.itemsize * self.run), 1), BLOCK_ROWS // self.run)
        height = n if risk.sparse else max(runs * self.run, 1 if cells == 1 else min(64 * cells, n))
        self.buffer = np.zeros((0 if risk.sparse else min(height, n), width), dtype=risk.X.dtype)
        for start in range(0, n, max(height, 1)):
            part = slice(start, min(start + height, n))
            for c in [0] if cell is None else np.unique(cell[part]):
                rows: Any = part if cell is None else start + np.flatnonzero(cell[part] == c)
                self._add(c, risk.X[rows], risk.y[rows] - self.level, None if s is None else s[rows])
        del self.buffer

    def _add(self, c: int, X: Any, y: NDArray, s: NDArray | None) -> None:
        d = X.shape[1]
        self.count[c] += len(y) if s is None else s.sum()
        self.spread[c] += y @ y if s is None else s @ (y * y)
        if sparse.issparse(X):
            self._add_targets(c, y, s)
            scaled = X if s is None else X.multiply(np.sqrt(s)[:, None]).tocsr()
            self.gram[c] += (scaled.T @ scaled).toarray()
            ones = np.ones(len(y)) if s is None else s
            self.first[c] += X.T @ ones.astype(X.dtype)
            self.cross[c] += X.T @ (ones * y).astype(X.dtype)
            return
        rows = self.buffer[: len(y)]
        if self.moved:
            np.subtract(X, self.centre.astype(X.dtype), out=rows[:, :d])
        else:
            rows[:, :d] = X
        y = y if self.guess is None else y - rows[:, :d] @ self.guess
        self._add_targets(c, y, s)
        rows[:, d], rows[:, d + 1] = 1.0, y
        if s is not None:
            rows[:, : d + 2] *= np.sqrt(s).astype(rows.dtype)[:, None]
        product = self._product(rows)
        self.gram[c] += product[:d, :d]
        self.first[c] += product[d, :d]
        self.cross[c] += product[d + 1, :d]

    def _add_targets(self, c: int, y: NDArray, s: NDArray | None) -> None:
        self.sum[c] += y.sum() if s is None else s @ y
        self.square[c] += y @ y if s is None else s @ (y * y)

    def _product(self, rows: NDArray) -> NDArray:
        """The sum of products of rows with themselves, in float64 of runs."""
        many = len(rows) // self.run
        if rows.dtype == np.float64 or len(rows) <= self.run:
            return rows.T @ rows
        runs, rest = rows[: many * self.run].reshape(many, self.run, -1), rows[many * self.run :]
        total = np.matmul(runs.transpose(0, 2, 1), runs).sum(axis=0, dtype=np.float64)
        return total + rest.T @ rest if len(rest) else total

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


def centre_of(risk: Risk, columns: Columns | None) -> NDArray:
    """Where the columns lie by some of the rows, as numbers of their dtype; zero where no column is far from there."""
    columns = glance(risk, row_weights(risk), centre=True) if columns is None else columns
    if not np.any(columns.mean**2 * (risk.total_weight / risk.denominator) > NEAR**2 * columns.squares):
        return np.zeros(risk.n_features)
    return columns.mean.astype(risk.X.dtype).astype(np.float64)


class Quadratic(NamedTuple):
    """Half of ``square - 2 c·w + w'Gw``: the mean squared error of rows whose columns and target lie about a mean.

    Or those of several fits, stacked along a first axis of everything.
    """

    G: NDArray
    c: NDArray
    square: Any
    mean: NDArray
    level: Any

    @classmethod
    def stacked(cls, fits: list[Quadratic]) -> Quadratic:
        """Several fits side by side."""
        return cls(*(np.array(parts) for parts in zip(*fits, strict=True)))

    def value(self, W: NDArray) -> NDArray:
        """At the columns of W."""
        return self._value(W, self.G @ W)

    def _value(self, W: NDArray, GW: NDArray) -> NDArray:
        across = (self.c[..., None, :] @ W)[..., 0, :]
        return 0.5 * (np.asarray(self.square)[..., None] - 2.0 * across + (W * GW).sum(axis=-2))

    def gap(self, W: NDArray, l1: Any, l2: Any, noise: float) -> NDArray:
        """The duality gaps at the columns of W, one for each penalty, over the costs.

        `noise` is what the moments may have lost, as a share of the sizes of the columns.
        """
        GW, sizes = self.G @ W, np.sqrt(np.maximum(np.diagonal(self.G, axis1=-2, axis2=-1), 0.0))
        return relative_gap(self.square, self._value(W, GW), self.c[..., None] - GW, W, sizes, l1, l2, noise)


def relative_gap(
    square: Any, loss: NDArray, U: NDArray, W: NDArray, sizes: NDArray, l1: Any, l2: Any, noise: float
) -> NDArray:
    """The duality gaps over the costs of a squared error with penalties, at the columns of W (..., d, L).

    `square` is that of the target and `sizes` are the roots of the columns' squares; ``loss`` and U as for
    :func:`dual_of_squares`; what was summed up may have lost the share `noise` of the sizes.
    """
    square = np.asarray(square)[..., None]
    l1, l2 = l1 + np.zeros(W.shape[-1]), l2 + np.zeros(W.shape[-1])
    size = np.abs(W)
    lost = noise * (np.sqrt(np.maximum(square, 0.0)) + (sizes[..., None] * size).sum(axis=-2))
    primal = loss + l1 * size.sum(axis=-2) + 0.5 * l2 * (W * W).sum(axis=-2)
    dual = dual_of_squares(loss, U, W, l1, l2, sizes[..., None] * lost[..., None, :])
    unit = np.maximum(primal, np.maximum(1e-3 * square, 1e-300))
    return (np.maximum(primal - dual, 0.0) + lost**2 / noise) / unit


def dual_of_squares(loss: Any, U: NDArray, W: NDArray, l1: Any, l2: Any, slack: Any = 0.0) -> NDArray:
    r"""A lower bound of the minimum of a squared error with penalties, at the columns of W (..., d, L).

    ``loss`` is the mean squared error there, the columns of U are :math:`\sum_i \sigma_i r_i x_i` of its residuals,
    and each of their numbers may be off by `slack`.  The residuals are the dual point; without l2 they are scaled down
    to where l1 allows it.
    """
    size = np.abs(U) + slack
    largest, excess = size.max(axis=-2, initial=0.0), np.maximum(size - l1, 0.0)
    share = np.where((l2 > 0) | (largest <= l1), 1.0, l1 / np.maximum(largest, 1e-300))
    conjugate = np.where(l2 > 0, (excess**2).sum(axis=-2) / (2.0 * np.where(l2 > 0, l2, 1.0)), 0.0)
    along = (W * U).sum(axis=-2) - (slack * np.abs(W)).sum(axis=-2)
    return share * (2.0 * loss + along) - share**2 * loss - conjugate
