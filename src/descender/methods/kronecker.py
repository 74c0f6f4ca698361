"""The Kronecker metric of a softmax risk: what its curvature is about, by two small matrices."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotrf, dpotri, spotrf, spotri

WIDE, HEAVY = 2000, 300
"""Columns from which the columns' part of the metric is its diagonal, and those with most weight whose part is not.  A
text in 8,000 words to 1e-4: 25 steps with the diagonal, 16 with 50 words beside it, 13 with 300, 12 with 500."""
PRECISE = 200
"""Columns up to which the moments are decomposed, in float64; beyond, some shifts of them are inverted in float32."""
LEVEL, LEVELS = 4.0, 5
"""Those shifts are by powers of this, so many at most.  An inverse of 663 columns takes a sixth of the time of their
vectors, and to classes of about one size, as most are, one is enough."""
JITTER, TRIES = {4: 1e-6, 8: 1e-10}, 3
"""What is added to unit diagonals, by the bytes of the numbers that they were summed in; and how often a hundred times
as much is tried where that did not suffice."""
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


def product_metric(moments: Moments) -> Metric:
    """The metric of such moments."""
    many = moments.S.ndim == 2 and len(moments.S) > PRECISE
    return Shifted(moments) if many else Kronecker(moments)


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


class Shifted:
    r"""About the same where columns are many: an eigenvalue a of A has the inverse of :math:`cS + \mathrm{ridge}`.

    c is the power of :data:`LEVEL` next to a; what that is off by is made up for as if there were no ridge.
    """

    def __init__(self, moments: Moments):
        self.S, self.ridge, self.free = moments.S, moments.ridge, moments.ridge == 0.0
        self.known: dict[int, tuple[NDArray, NDArray]] = {}
        self.turn(moments.A)

    def turn(self, A: NDArray) -> None:
        """Take the classes' part anew, and the inverses that it asks for."""
        a, self.U = np.linalg.eigh(A)
        a = np.maximum(a, LEVEL ** (0.5 - LEVELS) * max(float(a[-1]), 1e-300))
        self.shifts = np.round(np.log(a) / np.log(LEVEL)).astype(int)
        self.shifts[a == a[0]] = self.shifts[a > a[0]].min(initial=self.shifts[-1])
        self.factors = np.minimum(LEVEL**self.shifts / a, LEVEL)[:, None]
        needed = map(int, np.unique(self.shifts))
        self.known = {k: self.known[k] if k in self.known else self._inverse(LEVEL**k) for k in needed}

    def _inverse(self, shift: float) -> tuple[NDArray, NDArray]:
        """The inverse of S times that, with the ridge; of the diagonal alone where there is none."""
        diagonal = shift * np.diagonal(self.S) + self.ridge
        found = inverses(shift * self.S[None], diagonal[None], JITTER[4])
        if found is None:
            return np.eye(len(diagonal), dtype=np.float32), units(diagonal)
        return found[0][0], found[1][0]

    def solve(self, G: NDArray) -> NDArray:
        """The inverse times G; what is added to all classes alike changes no loss, and without a ridge it stays 0."""
        Y = self.U.T @ G
        for shift, (inverted, unit) in self.known.items():
            of = self.shifts == shift
            Y[of] = ((Y[of] * unit).astype(inverted.dtype) @ inverted) * unit
        Y = self.U @ (Y * self.factors)
        Y[:, self.free] -= Y[:, self.free].mean(axis=0)
        return Y


def inverses(matrices: NDArray, diagonals: NDArray, jitter: float) -> tuple[NDArray, NDArray] | None:
    """Inverses of matrices with such diagonals, in units that make these 1, and the units; None if one is no metric."""
    unit, single, places = units(diagonals), matrices.shape[1] > PRECISE, np.arange(matrices.shape[1])
    exact = unit.astype(matrices.dtype)
    scaled = matrices * exact[:, :, None]
    scaled *= exact[:, None, :]
    scaled = scaled.astype(np.float32 if single else np.float64, copy=False)
    factorise, invert = (spotrf, spotri) if single else (dpotrf, dpotri)
    for _ in range(TRIES):
        scaled[:, places, places] = 1.0 + jitter
        found, failed = np.empty_like(scaled), 0
        for block, out in zip(scaled, found, strict=True):
            factor, failed = factorise(block)
            if not failed:
                out[:], failed = invert(factor, overwrite_c=True)
            if failed:
                break
        if not failed and np.isfinite(found).all():
            found += np.triu(found, 1).transpose(0, 2, 1)
            return found, unit
        jitter *= 100.0
    return None


def units(diagonal: NDArray) -> NDArray:
    """What makes the diagonal one, where it is positive; else 0."""
    bent = diagonal > 0.0
    return np.where(bent, 1.0 / np.sqrt(np.where(bent, diagonal, 1.0)), 0.0)


def _units(curvatures: NDArray, span: float) -> NDArray:
    """What columns are multiplied by before they are decomposed: 0 where there is no curvature."""
    bent = curvatures > 0.0
    some = curvatures[bent]
    even = some.size == 0 or float(some.max()) <= span * float(some.min())
    return np.where(bent, 1.0, 0.0) if even else units(curvatures)
