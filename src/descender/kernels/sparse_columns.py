"""What is summed over sparse rows for each column, or each pair of columns, of a matrix of few columns."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

WORTH_COMPILING = 300_000
"""Entries from which SciPy's products, 25 times slower, would take as long as a compiler."""


def gram(starts, columns, values, h, H):
    """Add h x x' of every row to H, of which only the sum with its transpose is right: twice, on the diagonal once."""
    for i in range(h.shape[0]):
        for a in range(starts[i], starts[i + 1]):
            j, factor = columns[a], h[i] * values[a]
            for b in range(starts[i], a):
                k = columns[b]
                H[j, k] += factor * values[b] if j != k else 2.0 * factor * values[b]
            H[j, j] += factor * values[a]


def squares(starts, columns, values, sigma, sums, largest):
    """The weighted sum of the squares of each column, and the largest of them."""
    for i in range(sigma.shape[0]):
        for k in range(starts[i], starts[i + 1]):
            square = float(values[k]) * float(values[k])
            sums[columns[k]] += sigma[i] * square
            largest[columns[k]] = max(largest[columns[k]], square)


@cache
def compiled(function: Callable) -> Callable:
    """One of the functions above."""
    from descender.kernels.assemble import assemble_one

    return assemble_one(function)


def sparse_gram(X: Any, h: NDArray, fast: bool) -> NDArray[np.float64]:
    """The sum over sparse rows of h x x', in float64; compiled where that is to be `fast`."""
    d = X.shape[1]
    if not fast:
        scaled = X.multiply(np.sqrt(h)[:, None]).tocsr()
        return (scaled.T @ scaled).toarray()
    half = np.zeros((d, d))
    compiled(gram)(X.indptr, unsigned(X.indices), X.data, h, half)
    whole = half + half.T
    whole[np.arange(d), np.arange(d)] = half.diagonal()
    return whole


def sparse_squares(X: Any, sigma: NDArray, fast: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For each column of sparse rows the weighted sum of squares and the largest square."""
    n, d = X.shape
    if not fast:
        largest = np.zeros(d) if n == 0 else np.asarray(abs(X).max(axis=0).todense()).ravel() ** 2
        return with_values(X, np.square(X.data)).T @ sigma, largest
    sums, largest = np.zeros(d), np.zeros(d)
    compiled(squares)(X.indptr, unsigned(X.indices), X.data, sigma, sums, largest)
    return sums, largest


def with_values(X: Any, values: NDArray) -> Any:
    """Sparse rows with other values in the same places, which are not copied."""
    return type(X)((values, X.indices, X.indptr), shape=X.shape)


def unsigned(indices: NDArray) -> NDArray:
    """The same indices without a sign: a compiled loop then does not ask whether they count from the end."""
    return indices.view(np.uint32 if indices.dtype == np.int32 else np.uint64)
