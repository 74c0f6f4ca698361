"""Where the columns of a risk lie, and how wide they are: by all rows, or by as many as tell it well enough."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from descender.costs.cost import Vector
from descender.costs.risk import Risk, block_height
from descender.kernels.sparse_columns import sparse_squares

FEW_ROWS = 1000
"""Rows that tell the centre and the size of a column well enough to stand there."""


class Columns(NamedTuple):
    """The weighted mean of each column, the sum of its squares about it, and the largest square."""

    mean: Vector
    squares: Vector
    largest: Vector


def glance(risk: Risk, sigma: NDArray, centre: bool, whole: bool = True) -> Columns:
    """What some of the rows tell of the columns, and the largest squares of the `whole`, or of those, too."""
    some, share = risk.X, 1.0
    if len(some) > FEW_ROWS:
        rows = np.linspace(0, len(some) - 1, FEW_ROWS).astype(np.intp)
        some, total = some.take(rows, axis=0), max(float(sigma.sum()), 1e-300)
        sigma = sigma[rows]
        share = float(sigma.sum()) / total
    found = column_facts(some, sigma, centre)
    low, high = risk.extremes if whole else (some.min(axis=0), some.max(axis=0))
    largest = np.square(np.maximum(high - found.mean, found.mean - low))
    return Columns(found.mean, found.squares / max(share, 1e-300), largest)


def column_facts(X: Any, sigma: NDArray, centre: bool) -> Columns:
    """Means, sums of squares and largest squares of the columns, by blocks of rows, accumulated in float64.

    Squares are taken about the first row, then moved to the mean: columns far from zero keep their digits.
    """
    n, d = X.shape
    if sparse.issparse(X):
        return Columns(np.zeros(d), *sparse_squares(X, sigma))
    origin = X[0].astype(np.float64) if centre else np.zeros(d)
    sums, squares, largest = np.zeros(d), np.zeros(d), np.zeros(d)
    height = block_height(X)
    for start in range(0, n, height):
        part = slice(start, min(start + height, n))
        moved = X[part] - origin
        sums += sigma[part] @ moved
        np.square(moved, out=moved)
        squares += sigma[part] @ moved
        np.maximum(largest, moved.max(axis=0), out=largest)
    total = float(sigma.sum())
    mean = origin + sums / total if centre else np.zeros(d)
    offset = mean - origin
    return Columns(mean, np.maximum(squares - total * offset**2, 0.0), largest + offset**2)
