"""What is summed over sparse rows for each column, or each pair of columns, of a matrix of few columns."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descender.kernels.sparse_reads import Rows, quick_rows, unsigned

WORTH_COMPILING = 1_000_000
"""Pairs of entries of one row from which SciPy's product, ten times slower, is not worth a wait for a compiler."""
PAIRS_AT_ONCE, TALL = 30, 1024
"""A pair of entries of a row takes as long as so many of a dense product, whose blocks have so many rows."""
PAIR = 0.6
"""What a pair of entries costs in a sum of products, as a share of what reading an entry for a gradient does."""


def gram(starts, columns, values, h, H):
    """Add h x x' of every row to H: below the diagonal, then mirrored, tile by tile."""
    for i in range(h.shape[0]):
        for a in range(starts[i], starts[i + 1]):
            j, factor = columns[a], h[i] * values[a]
            for b in range(starts[i], a):
                k = columns[b]
                if k < j:
                    H[j, k] += factor * values[b]
                elif j < k:
                    H[k, j] += factor * values[b]
                else:
                    H[j, j] += 2.0 * factor * values[b]
            H[j, j] += factor * values[a]
    d = H.shape[0]
    for top in range(0, d, 32):
        for left in range(0, top + 1, 32):
            for j in range(top, min(top + 32, d)):
                for k in range(left, min(left + 32, j)):
                    H[k, j] = H[j, k]


@cache
def _compiled() -> Callable:
    from descender.kernels.assemble import assemble_one

    return assemble_one(gram)


def sparse_gram(X: Any, h: NDArray) -> NDArray[np.float64]:
    """The sum over sparse rows of h x x', in float64."""
    n, d = X.shape
    pairs = squared_sizes(X)
    if pairs < WORTH_COMPILING:
        scaled = X.multiply(np.sqrt(h)[:, None]).tocsr()
        return (scaled.T @ scaled).toarray()
    if PAIRS_AT_ONCE * pairs > n * d**2:
        return _dense_gram(X, np.sqrt(h))
    H = np.zeros((d, d))
    _compiled()(unsigned(X.indptr), unsigned(X.indices), X.data, h, H)
    return H


def gram_price(X: Any) -> float:
    """About how many readings of sparse rows, for scores and their gradient, :func:`sparse_gram` costs."""
    pairs = min(squared_sizes(X), X.shape[0] * X.shape[1] ** 2 / PAIRS_AT_ONCE)
    return PAIR * pairs / max(X.nnz, 1)


def squared_sizes(X: Any) -> float:
    """The sum over rows of the square of how many entries they have: the pairs of them."""
    return float(np.square(np.diff(X.indptr), dtype=np.float64).sum())


def _dense_gram(X: Any, root: NDArray) -> NDArray[np.float64]:
    """The same where rows are not so sparse, by dense blocks of them."""
    H = np.zeros((X.shape[1], X.shape[1]))
    for start in range(0, X.shape[0], TALL):
        part = slice(start, start + TALL)
        rows = X[part].toarray().astype(np.float64, copy=False)
        rows *= root[part, None]
        H += rows.T @ rows
    return H


def sparse_squares(X: Any, sigma: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For each column of sparse rows the weighted sum of squares and the largest square, in float64."""
    rows = quick_rows(X)
    if isinstance(rows, Rows):
        return rows.squares(sigma)
    largest, squares = np.zeros(X.shape[1]), np.square(X.data, dtype=np.float64)
    np.maximum.at(largest, X.indices, squares)
    squares *= np.repeat(sigma, np.diff(X.indptr))
    sums: NDArray[np.float64] = np.bincount(X.indices, squares, minlength=X.shape[1])  # type: ignore[assignment]
    return sums, largest


def with_values(X: Any, values: NDArray) -> Any:
    """Sparse rows with other values in the same places, which are not copied."""
    return type(X)((values, X.indices, X.indptr), shape=X.shape)
