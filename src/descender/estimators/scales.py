r"""The scale that a network's columns are brought to, so that its training does not depend on their units.

Targets are brought to mean 0 and deviation 1.  Columns of X, too, but their size is measured by fourth powers,

.. math:: s_j = \bigl(\tfrac13 \overline{(x_j - \bar x_j)^4}\bigr)^{1/4},

the deviation of a normal column.  A column that is seldom off its mean - a pixel near the border, an indicator of one
row in a thousand - has a deviation so small that, divided by it, those few rows would be 30 or 60 in size and rule the
first layer's gradient; by fourth powers they are 6 or 8.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from descender.costs.risk import column_extremes

BLOCK_BYTES = 1 << 18
"""Of a block of rows, which stays in the cache: its sums are in the dtype of X, those of all blocks in float64."""
TAME = 1e3
"""Columns whose largest entries lie between this and its inverse can be raised to their fourth powers as they are."""


class Scales(NamedTuple):
    """Mean and size of each column, and which of them vary; None where all do."""

    center: NDArray[np.float64]
    size: NDArray[np.float64]
    kept: NDArray[np.intp] | None = None

    def of(self, X: Any) -> Any:
        """X, rows or sequences, on this scale, without the columns that were constant; sparse rows are not moved."""
        if X.ndim == 3:
            return self.of(X.reshape(-1, X.shape[2])).reshape(*X.shape[:2], -1)
        kept = np.arange(X.shape[1]) if self.kept is None else self.kept
        center, size = self.center[kept], self.size[kept]
        if not isinstance(X, np.ndarray):
            return X[:, kept].multiply(1.0 / size).tocsr().astype(X.dtype)
        fits = X.dtype == np.float64 or _in_float32(center, size)
        center, size = (part.astype(X.dtype) if fits else part for part in (center, size))
        out = np.empty((len(X), len(size)), dtype=X.dtype)
        for rows in _blocks(X):
            part, to = X[rows], out[rows]
            if self.kept is not None:
                part = np.take(part, kept, axis=1, out=to, mode="clip")  # which needs no copy of its own
            moved = np.subtract(part, center, out=to if fits else None)
            np.divide(moved, size, out=to, casting="same_kind")
        return out

    def undo(self, weight: NDArray, bias: NDArray) -> tuple[NDArray, NDArray]:
        """Weights (d, hidden) and biases of a first layer for columns as they were."""
        whole = np.zeros((len(self.size), weight.shape[1]))
        whole[slice(None) if self.kept is None else self.kept] = weight
        whole /= self.size[:, None]
        return whole.astype(weight.dtype), (bias - self.center @ whole).astype(bias.dtype)


def column_scales(X: Any, weights: NDArray | None, power: int = 4) -> Scales:
    """Mean and size of each column, float64; of sparse ones 0, and the size of its entries.  A constant has size 1.

    With ``power=2`` the size is the deviation.  Columns are brought near 1 by a power of 2 before they are squared:
    those of 1e300 and 1e-300 have sizes, too.  Of sequences (n, steps, inputs) each step that is there is a row.
    """
    if X.ndim == 3:
        there = ~np.isnan(X[:, :, 0])
        return column_scales(X[there], None if weights is None else np.repeat(weights, there.sum(axis=1)), power)
    share = np.full(X.shape[0], 1.0) if weights is None else np.asarray(weights, dtype=np.float64)
    share = share / share.sum()
    if isinstance(X, np.ndarray):
        low, high = column_extremes(X)
        unit, eps = _units(np.maximum(-low, high)), np.finfo(X.dtype).eps
        center = _moments(X, share, unit, np.zeros(X.shape[1]), (1,))[0]
        square, high = _moments(X, share, unit, center, (2, power))
        noise = (8 * eps * np.abs(center)) ** 2
    else:
        unit = _powers_of_two(np.asarray(abs(X).max(axis=0).todense()).ravel())
        Y = X.multiply(1.0 / unit).tocsr()
        center, noise = np.zeros(X.shape[1]), np.zeros(X.shape[1])
        squares = Y.multiply(Y).tocsr()
        square = np.asarray(squares.T @ share).ravel()
        high = square if power == 2 else np.asarray(squares.multiply(squares).tocsr().T @ share).ravel()
    varies = square > noise
    size = np.sqrt(square) if power == 2 else (high / 3.0) ** 0.25
    constant = varies.any() and not varies.all()
    kept = np.flatnonzero(varies) if constant else None
    return Scales(center * unit, np.where(varies, size * unit, 1.0), kept)


def _moments(X: NDArray, share: NDArray, unit: NDArray, center: NDArray, powers: tuple[int, ...]) -> list[NDArray]:
    """The mean of some powers of ``X / unit - center``, each (d,)."""
    totals = [np.zeros(X.shape[1]) for _ in powers]
    unit, center, share = unit.astype(X.dtype), center.astype(X.dtype), share.astype(X.dtype)
    scaled, moved = bool((unit != 1.0).any()), bool(center.any())
    scratch: NDArray = np.empty((0, X.shape[1]), dtype=X.dtype)
    for rows in _blocks(X):
        part, power = X[rows], 1
        scratch = scratch if len(scratch) >= len(part) else np.empty_like(part)
        to = scratch[: len(part)]
        part = np.divide(part, unit, out=to) if scaled else part
        part = np.subtract(part, center, out=to) if moved else part
        for total, wanted in zip(totals, powers, strict=True):
            while power < wanted:
                part = np.multiply(part, part, out=to)
                power *= 2
            total += share[rows] @ part
    return totals


def _blocks(X: NDArray) -> Iterator[slice]:
    """Some rows at a time, so that what is made of them stays in the cache."""
    height = max(BLOCK_BYTES // max(X.shape[1] * X.itemsize, 1), 1)
    return (slice(i, i + height) for i in range(0, len(X), height))


def _in_float32(center: NDArray, size: NDArray) -> bool:
    """Whether float32 holds these numbers."""
    small, large = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)
    return bool(size.min() > small and max(size.max(), np.abs(center).max()) < large)


def _units(sizes: NDArray) -> NDArray[np.float64]:
    """What to divide columns by before they are squared: 1 where none is near the ends of its dtype."""
    tame = (sizes == 0.0) | ((sizes > 1.0 / TAME) & (sizes < TAME))
    return np.ones(len(sizes)) if tame.all() else _powers_of_two(sizes)


def _powers_of_two(sizes: NDArray) -> NDArray[np.float64]:
    """The power of 2 at or above each size, that its dtype holds; 1 for 0."""
    exponents = np.frexp(sizes.astype(np.float64))[1]
    most = 1000 if sizes.dtype == np.float64 else 127
    return np.where(sizes > 0, np.ldexp(1.0, np.clip(exponents, 1 - most, most)), 1.0)
