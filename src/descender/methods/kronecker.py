"""The Kronecker metric of a softmax risk: what its curvature is about, by two small matrices."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

WIDE, HEAVY = 2000, 300
"""Columns from which the columns' part of the metric is its diagonal, and those with most weight whose part is not.  A
text in 8,000 words to 1e-4: 25 steps with the diagonal, 16 with 50 words beside it, 13 with 300, 12 with 500."""
PRECISE = 200
"""Columns up to which the moments are decomposed in float64; beyond, float32 is as good a metric for half the time."""
SPAN = {True: 1e10, False: 1e4}
"""How many times the least curvature the largest may be, for columns to be left in their units: in those an even ridge
stays even, and is then exact in the vectors of S."""


class Moments(NamedTuple):
    """The mean covariance A of the classes, the second moments S of the columns or their diagonal, and the ridges.

    Beside a diagonal the moments of the `heavy` columns are known in full.
    """

    A: NDArray
    S: NDArray
    ridge: NDArray
    heavy: NDArray | None = None
    block: NDArray | None = None


class Metric(Protocol):
    """About the curvature of a softmax risk."""

    def turn(self, A: NDArray) -> None:
        """Take the classes' covariance anew; the rest stays."""

    def solve(self, G: NDArray) -> NDArray:
        """The inverse times G, (K, d + 1)."""


class Kronecker:
    r"""The inverse of :math:`A \otimes S + \mathrm{ridge}`, applied to (K, d + 1) weights and intercepts."""

    def __init__(self, moments: Moments):
        A, S, ridge, self.heavy, block = moments
        diagonal = S if S.ndim == 1 else np.diag(S)
        precise = len(S) <= PRECISE
        self.scale = _units(np.maximum(diagonal, 0.0) * float(np.trace(A)) / len(A) + ridge, SPAN[precise])
        self.free, self.ridge, self.s = ridge == 0.0, ridge * self.scale**2, diagonal * self.scale**2
        self.V: NDArray | None = None
        block = S if S.ndim == 2 else block
        if block is not None:
            part = slice(None) if self.heavy is None else self.heavy
            scaled = block * self.scale[part, None] * self.scale[part]
            self.s[part], self.V = np.linalg.eigh(scaled.astype(np.float64 if precise else np.float32))
            # where the ridge is no multiple of the identity, its mean over the vectors
            self.ridge[part] = (self.V**2).T @ self.ridge[part]
        self.turn(A)

    def turn(self, A: NDArray) -> None:
        """Take the classes' part anew, which costs nothing; the columns' part stays."""
        a, self.U = np.linalg.eigh(A)
        spectrum = np.outer(np.maximum(a, 0.0), np.maximum(self.s, 0.0)) + self.ridge
        self.inverse = 1.0 / np.maximum(spectrum, 1e-10 * max(float(spectrum.max()), 1e-300))

    def solve(self, G: NDArray) -> NDArray:
        """The inverse times G; what is added to all classes alike changes no loss, and without a ridge it stays 0."""
        Y = self.U.T @ (G * self.scale)
        if self.V is None or self.heavy is not None:
            Y = self._mostly_diagonal(Y)
        else:
            Y = ((Y.astype(self.V.dtype, copy=False) @ self.V) * self.inverse).astype(self.V.dtype, copy=False)
            Y = Y @ self.V.T
        Y = (self.U @ Y) * self.scale
        Y[:, self.free] -= Y[:, self.free].mean(axis=0)
        return Y

    def _mostly_diagonal(self, Y: NDArray) -> NDArray:
        if self.heavy is None or self.V is None:
            Y *= self.inverse
            return Y
        Y[:, self.heavy] = Y[:, self.heavy] @ self.V
        Y *= self.inverse
        Y[:, self.heavy] = Y[:, self.heavy] @ self.V.T
        return Y


def _units(curvatures: NDArray, span: float) -> NDArray:
    """What columns are multiplied by before they are decomposed: 0 where there is no curvature."""
    bent = curvatures > 0.0
    some = curvatures[bent]
    even = some.size == 0 or float(some.max()) <= span * float(some.min())
    return np.where(bent, 1.0 if even else 1.0 / np.sqrt(np.where(bent, curvatures, 1.0)), 0.0)
