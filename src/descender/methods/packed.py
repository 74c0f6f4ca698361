"""Sparse rows packed for a method that reads them one by one: in a new order, next to each other, in little room."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from descender.kernels import sparse_reads
from descender.kernels.dual import compiled, pack
from descender.kernels.sparse_reads import read_scores, read_spread, unsigned

BUCKET = 8
"""Rows that are read one after the other.  Rows in random order one by one take four times as long as in buckets of 64,
of 8 a tenth longer; but where rows have much in common an epoch leaves 0.08, 0.16, 0.26 and 0.57 of the gap with 1, 8,
16 and 64, as a bucket answers for what all rows share."""
SOME = 1000
"""Rows that are looked at for whether each has one value."""
LARGEST = 1e15


class Packed:
    """Rows of a CSR matrix in the order of `rows`, as the compiled loops read them.

    Where all entries of a row are equal, in every row, one value a row is kept.  Single precision is exact for what
    is in single precision, and else a copy of half the size.
    """

    def __init__(self, X: Any, rows: NDArray, dtype: Any):
        n, self.d = len(rows), X.shape[1]
        starts = np.zeros(n + 1, np.int64)
        sizes = np.diff(X.indptr)
        room = int(X.indptr[-1])
        columns = np.empty(room, unsigned(X.indices).dtype)
        source = (X.indptr, unsigned(X.indices), X.data)
        uniform = all_equal(X, sizes)
        values, self.squares = np.empty(n if uniform else room, dtype), np.empty(n)
        if not compiled(pack)(source, rows, starts, columns, values, uniform, self.squares):
            uniform, values = False, np.empty(room, dtype)
            compiled(pack)(source, rows, starts, columns, values, uniform, self.squares)
        self.rows, self.n = (starts.view(np.uint64), columns, values, uniform), n

    def scores(self, w: NDArray) -> NDArray:
        """x·w of every row, in float64."""
        z = np.empty(self.n)
        sparse_reads.compiled(read_scores)(*self.rows, np.asarray(w, dtype=np.float64), z)
        return z

    def spread(self, factors: NDArray) -> NDArray:
        """The sum of the rows times their factors, in float64."""
        out = np.zeros(self.d)
        sparse_reads.compiled(read_spread)(*self.rows, factors, out)
        return out


def all_equal(X: Any, sizes: NDArray) -> bool:
    """Whether the first rows have one value each."""
    end = int(X.indptr[min(SOME, len(sizes))])
    first = X.data[np.minimum(X.indptr[:-1][:SOME], max(end - 1, 0))] if end else np.empty(0)
    return bool(np.all(X.data[:end] == np.repeat(first[: len(sizes[:SOME])], sizes[:SOME])))


def bucketed(rows: NDArray, rng: np.random.Generator) -> NDArray:
    """Rows in ascending order, cut into buckets, these and the rows within each in random order."""
    n = len(rows)
    places = rng.permutation(-(-n // BUCKET))[:, None] * BUCKET + np.arange(BUCKET)
    places = rng.permuted(places, axis=1).ravel()
    return rows[places[places < n]]


def canonical(X: Any) -> Any:
    """`X` as CSR rows with one entry for a column at most; dense rows have them all."""
    if not sparse.issparse(X):
        return sparse.csr_array(X)
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    return X


def needs_double(X: Any) -> bool:
    """Whether numbers are so large or small that single precision cannot hold their squares."""
    if X.dtype == np.float32:
        return False
    values = X.data if sparse.issparse(X) else X
    largest = max(float(values.max(initial=0.0)), -float(values.min(initial=0.0)))
    return not 1.0 / LARGEST < largest < LARGEST
