"""Metrics: approximate inverse Hessians that are cheap to apply."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotrf, dpotri, dpotrs

from descender.costs.cost import Vector
from descender.methods.lbfgs import Pairs

PRODUCT, FACTOR, COLUMNS_A_READ = 1.5, 0.02, 31.0
"""What a Gram matrix costs in readings of its rows: so much, and one for each so many columns; and its factor, times
the square of the columns over the rows."""


def gram_readings(rows: float, n: int, d: int) -> float:
    """The readings of all n rows that a Gram matrix of some of them, in float32, and its factor cost."""
    return rows / n * (PRODUCT + d / COLUMNS_A_READ) + FACTOR * d * d / n


class Metric(Protocol):
    """Something that turns a gradient into a step."""

    def solve(self, g: Vector) -> Vector:
        """The inverse of the metric times g."""


class Dense:
    """A symmetric matrix by its Cholesky factor, after scaling its diagonal to one.

    A matrix that is singular to rounding gets a larger and larger diagonal, from `jitter` on, until it is not.
    """

    def __init__(self, H: NDArray, jitter: float = 1e-14):
        diagonal = H.diagonal()
        seen = diagonal > 0.0
        self.scale = seen / np.sqrt(diagonal if seen.all() else np.where(seen, diagonal, 1.0))
        for factor in (1.0, 1e2, 1e4, 1e6, 1e8):
            scaled = H * self.scale[:, None]
            scaled *= self.scale
            scaled.flat[:: len(H) + 1] = 1.0 + factor * jitter
            self.factor, failed = dpotrf(scaled.T, lower=1, clean=0, overwrite_a=1)  # in place, as columns come first
            if not failed:
                self.added = factor * jitter
                return
        self.factor, self.added = np.eye(len(H)), np.inf

    def solve(self, g: Vector) -> Vector:
        """The inverse times g."""
        return self.scale * dpotrs(self.factor, self.scale * g, lower=1)[0]

    def largest_inverse(self) -> float:
        """A bound on the eigenvalues of the inverse of the scaled matrix, with what its diagonal was `added`."""
        inverse = np.abs(dpotri(self.factor, lower=1)[0])
        lower = np.tril(inverse)
        return float((lower.sum(axis=0) + lower.sum(axis=1) - lower.diagonal()).max(initial=0.0))


class Products:
    """A matrix of which only products are known, solved with by conjugate gradients in an `inner` metric.

    It takes at most `most` products, and fewer where the share `left` of the right side, squared, is all that is left.
    """

    def __init__(self, product: Callable[[Vector], Vector], inner: Callable[[Vector], Vector], most: int, left: float):
        self.product, self.inner, self.most, self.left = product, inner, most, left
        self.count, self.short = 0, False

    def solve(self, g: Vector) -> Vector:
        """About the inverse times g; it is `short` of that where the products were too few."""
        x, r = np.zeros(len(g)), g
        s = p = self.inner(r)
        rs = first = float(r @ s)
        self.short = True
        for _ in range(self.most):
            q = self.product(p)
            self.count += 1
            bend = float(p @ q)
            if not (bend > 0.0 and rs > 0.0):
                break
            x, r = x + rs / bend * p, r - rs / bend * q
            s = self.inner(r)
            rs, before = float(r @ s), rs
            if rs <= self.left * first:
                self.short = False
                break
            p = s + rs / before * p
        return x if x.any() else self.inner(g)


class Diagonal:
    """A curvature for each coordinate; where it is less than `least` of the largest the coordinate stays."""

    def __init__(self, curvatures: Vector, least: float = 1e-12):
        floor = least * float(curvatures.max(initial=0.0))
        self.inverse = np.where(curvatures > floor, 1.0 / np.maximum(curvatures, 1e-300), 0.0)

    def solve(self, g: Vector) -> Vector:
        """The inverse times g."""
        return self.inverse * g


class Corrected:
    """A diagonal, scaled by the last step of a walk, with what the steps of that walk have taught."""

    def __init__(self, metric: Diagonal, pairs: Pairs | None):
        self.metric, self.pairs = metric, Pairs(0) if pairs is None else pairs

    def solve(self, g: Vector) -> Vector:
        """The inverse times g."""
        return self.pairs.solve(g, self._scaled)

    def _scaled(self, g: Vector) -> Vector:
        p = self.metric.solve(g)
        if not self.pairs.pairs:
            return p
        _, y, rho = self.pairs.pairs[-1]
        return p / (rho * float(y @ self.metric.solve(y)))
