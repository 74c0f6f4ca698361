"""The rows of a risk as a method sees them that walks in some of their columns."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from descender.costs.cost import Vector
from descender.kernels.columns import compiled
from descender.kernels.sparse_reads import unsigned


class SparseColumns:
    """CSR rows: products with vectors in float64, whatever the values are kept in, and copies of some columns."""

    exact = True

    def __init__(self, start: NDArray, index: NDArray, value: NDArray, d: int):
        self.start, self.index, self.value, self.d = unsigned(start), unsigned(index), value, d
        self.n, self.entries, self.loops = len(start) - 1, len(index), compiled()

    @classmethod
    def of(cls, X: Any) -> SparseColumns:
        """Those of a SciPy matrix."""
        return cls(X.indptr, X.indices, X.data, X.shape[1])

    def scores(self, w: Vector, shift: float) -> NDArray:
        """x·w + shift of each row."""
        out = np.empty(self.n)
        self.loops.multiply(self.start, self.index, self.value, w, shift, out)
        return out

    def spread(self, r: NDArray) -> Vector:
        """The sum over rows of r x."""
        out = np.zeros(self.d)
        self.loops.spread(self.start, self.index, self.value, r, out)
        return out

    def some(self, columns: NDArray) -> SparseColumns:
        """A copy of some columns, in this order."""
        if len(columns) == self.d:
            return self
        place = np.full(self.d, -1, dtype=np.int32)
        place[columns] = np.arange(len(columns), dtype=np.int32)
        room = self.loops.count(self.index, place) + 1
        start, index, value = np.zeros_like(self.start), np.empty(room, np.int32), np.empty(room, self.value.dtype)
        self.loops.gather(self.start, self.index, self.value, place, start, index, value)
        return SparseColumns(start, index[:-1], value[:-1], len(columns))

    def part(self, rows: NDArray) -> SparseColumns:
        """A copy of some rows."""
        start, index = (places.view(f"i{places.itemsize}") for places in (self.start, self.index))
        X = sparse.csr_matrix((self.value, index, start), shape=(self.n, self.d))
        return SparseColumns.of(X[rows])

    def moment(self, h: NDArray) -> tuple[NDArray, Vector]:
        """The sums over rows of h x x' and of h x."""
        H, edge = np.zeros((self.d, self.d)), np.zeros(self.d)
        self.loops.moment(self.start, self.index, self.value, h, H, edge)
        diagonal = np.diag(H).copy()
        H += H.T
        np.fill_diagonal(H, diagonal)
        return H, edge

    def pairs(self) -> int:
        """How many pairs of entries a matrix of curvatures is summed over."""
        return int(self.loops.pairs(self.start))

    def stand_up(self) -> tuple[NDArray, NDArray, NDArray]:
        """The same entries column by column: where columns begin, rows, values."""
        top, row = np.zeros(self.d + 1, self.start.dtype), np.empty(len(self.index), np.int32)
        entry = np.empty_like(self.value)
        self.loops.stand_up(self.start, self.index, self.value, top, row, entry)
        return top, row, entry


class DenseColumns:
    """Dense rows: the same operations by BLAS, on the columns less their means.

    ``exact`` tells whether products are in float64, of columns that are not so far from zero that digits are lost.
    """

    exact = False

    def __init__(self, X: NDArray, mean: Vector | None = None):
        self.X, (self.n, self.d), self.entries = X, X.shape, X.size
        self.mean = np.zeros(self.d) if mean is None else mean

    def scores(self, w: Vector, shift: float) -> NDArray:
        """x·w + shift of each row."""
        shift -= float(self.mean @ w)
        return self.X @ w.astype(self.X.dtype, copy=False) + shift if w.any() else np.full(self.n, shift)

    def spread(self, r: NDArray) -> Vector:
        """The sum over rows of r x."""
        return (r.astype(self.X.dtype, copy=False) @ self.X).astype(np.float64) - float(r.sum()) * self.mean

    def some(self, columns: NDArray) -> DenseColumns:
        """A copy of some columns, in this order."""
        some = self.X.take(columns, axis=1)
        return DenseColumns(np.subtract(some, self.mean[columns], out=some if some.dtype == np.float64 else None))

    def part(self, rows: NDArray) -> DenseColumns:
        """A copy of some rows."""
        return DenseColumns(self.X[rows], self.mean)

    def moment(self, h: NDArray) -> tuple[NDArray, Vector]:
        """The sums over rows of h x x' and of h x."""
        scaled = self.X * np.sqrt(h)[:, None]
        return scaled.T @ scaled, h @ self.X


Columns = SparseColumns | DenseColumns
