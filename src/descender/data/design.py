"""What columns become, piece by piece, and what is made of the pieces: a matrix, dense or sparse, or scores at once.

A column writes its features down once, as pieces of three shapes.  The three readers below are all that knows of dense
and sparse: a number has one text, whatever it ends up in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy import sparse


class Values(NamedTuple):
    """One feature, the `at`-th, as a number in every row."""

    at: int
    x: NDArray[np.floating]


class Marks(NamedTuple):
    """Of `width` features from the `at`-th on at most one is 1 in each row: `slots` says which; -1 is none."""

    at: int
    width: int
    slots: NDArray[np.integer]


class Bag(NamedTuple):
    """Some of `width` features from the `at`-th on in each row, as a CSR matrix holds them."""

    at: int
    width: int
    indptr: NDArray[np.integer]
    indices: NDArray[np.integer]
    values: NDArray[np.floating]


Piece = Values | Marks | Bag


def moved(pieces: Iterable[Piece], by: int) -> Iterator[Piece]:
    """The pieces with their features `by` places further on."""
    for piece in pieces:
        yield piece._replace(at=piece.at + by)


def dense(
    pieces: Iterable[Piece], shape: tuple[int, int], dtype: Any, out: NDArray | None = None
) -> NDArray[np.floating]:
    """The pieces as a C-contiguous matrix, or in the rows of one that is there, `out`.

    >>> dense([Values(0, np.array([7.0, 8.0])), Marks(1, 2, np.array([-1, 1]))], (2, 3), float)
    array([[7., 0., 0.],
           [8., 0., 1.]])
    """
    X = np.zeros(shape, dtype=dtype) if out is None else out
    if out is not None:
        X[...] = 0.0
    for piece in pieces:
        match piece:
            case Values(at, x):
                X[:, at] = x
            case Marks(at, _, slots):
                rows = np.flatnonzero(slots >= 0)
                X[rows, at + slots[rows]] = 1.0
            case Bag(at, _, indptr, indices, values):
                X[np.repeat(np.arange(len(X)), np.diff(indptr)), at + indices] = values
    return X


def csr(pieces: Iterable[Piece], shape: tuple[int, int], dtype: Any) -> sparse.csr_matrix:
    """The pieces, which come in the order of their features, as a CSR matrix with sorted indices.

    >>> csr([Values(0, np.array([7.0, 8.0])), Marks(1, 2, np.array([-1, 1]))], (2, 3), float).toarray()
    array([[7., 0., 0.],
           [8., 0., 1.]])
    """
    from scipy import sparse

    rows = shape[0]
    parts: list[sparse.csr_matrix] = []
    plain: list[Values | Marks] = []

    def settle() -> None:
        if not plain:
            return
        places, numbers = np.empty((rows, len(plain)), np.int32), np.ones((rows, len(plain)), dtype)
        for k, piece in enumerate(plain):
            if isinstance(piece, Values):
                places[:, k], numbers[:, k] = piece.at, piece.x
            else:
                places[:, k] = np.where(piece.slots >= 0, piece.slots + piece.at, -1)
        there = places >= 0
        indptr = np.concatenate([[0], np.cumsum(there.sum(axis=1))])
        parts.append(sparse.csr_matrix((numbers[there], places[there], indptr), shape=shape))
        plain.clear()

    for piece in pieces:
        if isinstance(piece, Bag):
            settle()
            at = (piece.indices + piece.at).astype(np.int32)
            parts.append(sparse.csr_matrix((piece.values.astype(dtype), at, piece.indptr), shape=shape))
        else:
            plain.append(piece)
    settle()
    whole = sum(parts[1:], start=parts[0]) if parts else sparse.csr_matrix(shape, dtype=dtype)
    whole.has_canonical_format = True
    return whole


def scores(pieces: Iterable[Piece], weights: NDArray[np.float64], intercept: Any, rows: int) -> NDArray[np.float64]:
    r""":math:`w \cdot x + b` of each row, without a matrix: (rows,), or (rows, K) of `weights` (K, features).

    Each row is added up on its own in the order of its features, so that its bits depend on no other row.

    >>> scores([Values(0, np.array([7.0, 8.0])), Marks(1, 2, np.array([-1, 1]))], np.array([2.0, 5.0, 9.0]), 1.0, 2)
    array([15., 26.])
    """
    from scipy import sparse

    W = np.ascontiguousarray(weights.T)  # (features,) or (features, K)
    z = np.empty((rows, *W.shape[1:]))
    z[...] = intercept
    for piece in pieces:
        match piece:
            case Values(at, x):
                z += np.multiply.outer(x, W[at])
            case Marks(at, width, slots):
                z += np.concatenate([W[at : at + width], np.zeros((1, *W.shape[1:]))])[slots]
            case Bag(at, width, indptr, indices, values):
                z += sparse.csr_matrix((values, indices, indptr), shape=(rows, width)) @ W[at : at + width]
    return z
