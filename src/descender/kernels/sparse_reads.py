"""Sparse rows that are read in compiled loops: their scores, sums of them, and sums of their squares."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

WORTH_COMPILING = 20_000
"""Entries of a sparse matrix below which nothing waits for a compiler."""
PIECE = 1 << 17
"""Entries that are read at once, so that what is made of them stays in the cache; and the most rows."""
TALLEST = 1 << 13
REASSOCIATED = '@njit(error_model="numpy", fastmath={"reassoc"}, cache=True)\n'
"""A sum along a row may be taken in several parts: each addition waits for the one before.  A third less time."""


def read_scores(starts, columns, values, uniform, w, z):
    """The inner products of all rows and the weights; if `uniform`, `values` has one for each row."""
    for i in range(z.shape[0]):
        total = w.dtype.type(0)
        if uniform:
            for k in range(starts[i], starts[i + 1]):
                total += w[columns[k]]
            z[i] = total * values[i]
        else:
            for k in range(starts[i], starts[i + 1]):
                total += values[k] * w[columns[k]]
            z[i] = total


def read_spread(starts, columns, values, uniform, factors, sums):
    """Add each row times its factor to the sums over rows."""
    for i in range(factors.shape[0]):
        factor = factors[i]
        if factor == 0.0:
            continue
        if uniform:
            step = factor * values[i]
            for k in range(starts[i], starts[i + 1]):
                sums[columns[k]] += step
        else:
            for k in range(starts[i], starts[i + 1]):
                sums[columns[k]] += factor * values[k]


def read_squares(starts, columns, values, factors, sums, largest):
    """Add the squares of each row times its factor to the sums over rows; the largest square of each column."""
    for i in range(factors.shape[0]):
        factor = factors[i]
        for k in range(starts[i], starts[i + 1]):
            square = float(values[k]) * float(values[k])
            sums[columns[k]] += factor * square
            largest[columns[k]] = max(largest[columns[k]], square)


def unsigned(indices: NDArray) -> NDArray:
    """The same indices without a sign: a compiled loop then does not ask whether they count from the end."""
    return indices.view(f"u{indices.itemsize}")


@cache
def compiled(function: Callable) -> Callable:
    """One of the functions above."""
    from descender.kernels.cached import HEADER, load
    from descender.kernels.texts import text_of

    name = function.__name__
    return getattr(load(f"{HEADER}\n\n{REASSOCIATED}{text_of(function, name)}\n"), name)


class Rows:
    """Sparse rows (n, d), of which `rows @ w` and `rows.T @ r` are compiled loops; a slice of them copies nothing.

    Scores have the precision of the finer of rows and weights; what is summed over rows is float64.
    """

    def __init__(self, starts: NDArray, columns: NDArray, values: NDArray, d: int):
        self.starts, self.columns, self.values = starts, columns, values
        self.shape = (len(starts) - 1, d)
        self.T = Columns(self)

    @classmethod
    def of(cls, X: Any) -> Rows:
        """The rows of a CSR matrix."""
        return cls(unsigned(X.indptr), unsigned(X.indices), X.data, X.shape[1])

    @property
    def height(self) -> int:
        """How many rows are well read at once."""
        n = self.shape[0]
        return max(min(PIECE * n // max(len(self.values), 1), TALLEST), 1)

    def __getitem__(self, part: slice) -> Rows:
        return Rows(self.starts[part.start : part.stop + 1], self.columns, self.values, self.shape[1])

    def __matmul__(self, w: NDArray) -> NDArray:
        z = np.empty(self.shape[0], np.result_type(self.values, w))
        compiled(read_scores)(self.starts, self.columns, self.values, False, w, z)
        return z

    def __abs__(self) -> Rows:
        return Rows(self.starts, self.columns, np.abs(self.values), self.shape[1])

    def squares(self, factors: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """For each column the sum of squares times the factors of their rows, and the largest square."""
        sums, largest = np.zeros(self.shape[1]), np.zeros(self.shape[1])
        compiled(read_squares)(self.starts, self.columns, self.values, factors, sums, largest)
        return sums, largest


class Columns:
    """The columns of sparse rows."""

    def __init__(self, rows: Rows):
        self.rows = rows

    def __matmul__(self, r: NDArray) -> NDArray[np.float64]:
        rows = self.rows
        sums = np.zeros(rows.shape[1])
        compiled(read_spread)(rows.starts, rows.columns, rows.values, False, r, sums)
        return sums


def quick_rows(X: Any) -> Any:
    """Rows to multiply with: compiled loops where a CSR matrix has entries enough, else itself."""
    return Rows.of(X) if X.nnz >= WORTH_COMPILING else X
