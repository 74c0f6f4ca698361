"""Which rows are held out: decided for each row by its index and a seed, and by nothing else."""

from __future__ import annotations

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
