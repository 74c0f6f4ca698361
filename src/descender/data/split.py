"""Which rows are held out: decided for each row by its index and a seed, and by nothing else."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descender.errors import OptionError

SMALLEST = 20
"""Below as many rows none is held out: their score would tell nothing, and the fit needs them."""


def hashed(indices: ArrayLike, seed: int = 0) -> NDArray[np.uint64]:
    r"""A hash of every row index, uniform on [0, 2**64): splitmix64(i xor splitmix64(seed)).

    Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.

    >>> hashed([0, 1, 2]) // np.uint64(10**16)
    array([1203,   62, 1554], dtype=uint64)
    """
    if not isinstance(seed, int | np.integer) or isinstance(seed, bool):
        raise OptionError(f"seed={seed!r}: expected an integer")
    key = _splitmix64(np.array([int(seed) % 2**64], dtype=np.uint64))
    return _splitmix64(np.asarray(indices).astype(np.uint64) ^ key)


def _splitmix64(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    # products and sums of uint64 arrays wrap around, as the algorithm wants it
    z = z + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def held_out(indices: ArrayLike, fraction: float = 0.2, seed: int = 0) -> NDArray[np.bool_]:
    """Whether each of these rows is held out: the same answer for a table, a block of it and a stream.

    A row is held out when its hash is below `fraction` of the range of hashes, so a larger fraction holds out
    the same rows and more.

    >>> bool(held_out(range(100), 0.2)[60:70].tolist() == held_out(range(60, 70), 0.2).tolist())
    True
    """
    if not 0 <= fraction < 1:
        raise OptionError(f"a share of {fraction} cannot be held out: expected 0 <= fraction < 1")
    return hashed(indices, seed) < np.uint64(int(fraction * 2**64))


def holdout(n: int, fraction: float = 0.2, seed: int = 0) -> NDArray[np.bool_]:
    """A mask of the rows to hold out of a table of `n` rows; none of fewer than 20 rows.

    It is :func:`held_out` of 0 ... n-1, except that a table of 20 rows or more never ends up without a row on
    either side: the row with the smallest hash is then held out, or the one with the largest kept.

    >>> int(holdout(10_000, 0.2).sum())
    1995
    >>> bool(holdout(19, 0.5).any())
    False
    """
    mask = held_out(np.arange(n, dtype=np.uint64), fraction, seed)
    if n < SMALLEST:
        return np.zeros(n, dtype=np.bool_)
    if fraction > 0 and mask.all() | ~mask.any():
        order = hashed(np.arange(n, dtype=np.uint64), seed)
        mask[order.argmax() if mask.all() else order.argmin()] = not mask[0]
    return mask


class Folds(NamedTuple):
    """Who judges whom: rows lie in cells, fold k learns from the cells of ``learn[k]`` and is judged by ``judge[k]``.

    ``cell`` is (n,), ``learn`` (K, cells), ``judge`` (K,); ``how`` says it in words.
    """

    cell: NDArray[np.intp]
    learn: NDArray[np.bool_]
    judge: NDArray[np.intp]
    how: str

    def learns(self, k: int) -> NDArray[np.bool_]:
        """The rows that fold k learns from."""
        return self.learn[k][self.cell]

    def judges(self, k: int) -> NDArray[np.bool_]:
        """The rows that fold k is judged by."""
        return self.cell == self.judge[k]


def crossed(n: int, k: int = 5, seed: int = 0, groups: NDArray | None = None) -> Folds:
    """K folds, each judged by the rows that the others learn from; a row's fold, or its group's, is decided by a hash.

    `groups` are a number for each row: no group is on both sides.

    >>> folds = crossed(1000, 5)
    >>> bool((sum(folds.judges(k).astype(int) for k in range(5)) == 1).all())
    True
    >>> any((folds.learns(k) & folds.judges(k)).any() for k in range(5))
    False
    """
    numbers, row_of = (np.arange(n), slice(None)) if groups is None else np.unique(groups, return_inverse=True)
    k = min(k, len(numbers))
    if k < 2:
        raise OptionError("folds need at least two rows, or two groups")
    # ranks of hashes: folds of equal size, however few there are
    order = np.argsort(hashed(np.arange(len(numbers)), seed + 1), kind="stable")
    cell = np.empty(len(numbers), dtype=np.intp)
    cell[order] = np.arange(len(numbers)) % k
    what = "" if groups is None else ", no group in two of them"
    return Folds(cell[row_of], ~np.eye(k, dtype=np.bool_), np.arange(k), f"{k}-fold cross-validation{what}")


def forward(times: NDArray, k: int = 5) -> Folds:
    """Forward chaining: the rows in order of time in k + 1 parts, each judging what was learnt from all before it.

    Rows of the same time stay together.

    >>> folds = forward(np.arange(12.0), 2)
    >>> folds.cell.tolist(), folds.learn.tolist(), folds.judge.tolist()
    ([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2], [[True, False, False], [True, True, False]], [1, 2])
    """
    n = len(times)
    ranks = np.searchsorted(np.sort(times), times, side="left")  # the first place of each time
    cell = np.unique(ranks * (k + 1) // n, return_inverse=True)[1].astype(np.intp)
    parts = int(cell.max()) + 1
    if parts < 2:
        raise OptionError("the time column has the same value in nearly every row: nothing is earlier or later")
    learn = np.tri(parts - 1, parts, dtype=np.bool_)
    how = f"{parts - 1} forward steps in time, each judged by the rows after those that it learnt from"
    return Folds(cell, learn, np.arange(1, parts), how)


def once(judged: NDArray[np.bool_], how: str) -> Folds:
    """A single hold-out: the rows that are `judged`, and the others."""
    return Folds(judged.astype(np.intp), np.array([[True, False]]), np.array([1]), how)


def latest(times: NDArray, fraction: float) -> NDArray[np.bool_]:
    """The last share of rows in order of time; rows of one time stay together, and some are on either side.

    >>> latest(np.array([3.0, 1.0, 2.0, 2.0]), 0.25)
    array([ True, False, False, False])
    """
    if fraction <= 0 or (len(times) < SMALLEST and fraction < 1 / len(times)):
        return np.zeros(len(times), dtype=np.bool_)
    ordered = np.sort(times)
    edge = ordered[min(int(np.ceil(len(times) * (1 - fraction))), len(times) - 1)]
    if edge == ordered[0]:
        later = ordered[ordered > edge]
        if not len(later):
            raise OptionError("the time column has the same value in every row: nothing is earlier or later")
        edge = later[0]
    return times >= edge


def some_groups(groups: NDArray, fraction: float, seed: int) -> NDArray[np.bool_]:
    """Whole groups, about a share of them, by the hash of each group's rank among the groups.

    >>> groups = np.repeat(np.arange(50), 4)
    >>> held = some_groups(groups, 0.2, 0)
    >>> set(groups[held]) & set(groups[~held]), bool(0 < held.mean() < 0.5)
    (set(), True)
    """
    numbers, row_of = np.unique(groups, return_inverse=True)
    if len(numbers) < 2:
        raise OptionError("there is one group only: none can be held out")
    if fraction <= 0:
        return np.zeros(len(groups), dtype=np.bool_)
    count = min(max(round(fraction * len(numbers)), 1), len(numbers) - 1)
    chosen = np.zeros(len(numbers), dtype=np.bool_)
    chosen[np.argsort(hashed(np.arange(len(numbers)), seed), kind="stable")[:count]] = True
    return chosen[row_of]
