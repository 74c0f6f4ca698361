"""What is summed over sparse rows for each column, or each pair of columns, of a matrix of few columns."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

WORTH_COMPILING = 10_000_000
"""Pairs of entries of one row from which SciPy's product, five times slower, would take as long as a compiler."""
PIECE = 1_000_000
"""Entries that are squared at a time."""


def gram(starts, columns, values, h, H):
    """Add h x x' of every row to H, of which only the sum with its transpose is right: twice, on the diagonal once."""
    for i in range(h.shape[0]):
        for a in range(starts[i], starts[i + 1]):
            j, factor = columns[a], h[i] * values[a]
            for b in range(starts[i], a):
                k = columns[b]
                H[j, k] += factor * values[b] if j != k else 2.0 * factor * values[b]
            H[j, j] += factor * values[a]


@cache
def _compiled() -> Callable:
    from descender.kernels.assemble import assemble_one

    return assemble_one(gram)


def sparse_gram(X: Any, h: NDArray) -> NDArray[np.float64]:
    """The sum over sparse rows of h x x', in float64."""
    d = X.shape[1]
    if float(np.square(np.diff(X.indptr), dtype=np.float64).sum()) < WORTH_COMPILING:
        scaled = X.multiply(np.sqrt(h)[:, None]).tocsr()
        return (scaled.T @ scaled).toarray()
    half = np.zeros((d, d))
    _compiled()(X.indptr, unsigned(X.indices), X.data, h, half)
    whole = half + half.T
    whole[np.arange(d), np.arange(d)] = half.diagonal()
    return whole


def sparse_squares(X: Any, sigma: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For each column of sparse rows the weighted sum of squares and the largest square, in float64."""
    n, d = X.shape
    sums, largest = np.zeros(d), np.zeros(d)
    height = max(PIECE * n // max(X.nnz, 1), 1)
    for start in range(0, n, height):
        ends = X.indptr[start : min(start + height, n) + 1]
        columns = X.indices[ends[0] : ends[-1]]
        squares = np.square(X.data[ends[0] : ends[-1]], dtype=np.float64)
        np.maximum.at(largest, columns, squares)
        squares *= np.repeat(sigma[start : start + height], np.diff(ends))
        sums += np.bincount(columns, squares, minlength=d)
    return sums, largest


def with_values(X: Any, values: NDArray) -> Any:
    """Sparse rows with other values in the same places, which are not copied."""
    return type(X)((values, X.indices, X.indptr), shape=X.shape)


def unsigned(indices: NDArray) -> NDArray:
    """The same indices without a sign: a compiled loop then does not ask whether they count from the end."""
    return indices.view(f"u{indices.itemsize}")
