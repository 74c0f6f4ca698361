"""Metrics: approximate inverse Hessians that are cheap to apply."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotrf, dpotri, dpotrs

from descender.costs.cost import Vector


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


class Diagonal:
    """A curvature for each coordinate; where it is less than `least` of the largest the coordinate stays."""

    def __init__(self, curvatures: Vector, least: float = 1e-12):
        floor = least * float(curvatures.max(initial=0.0))
        self.inverse = np.where(curvatures > floor, 1.0 / np.maximum(curvatures, 1e-300), 0.0)

    def solve(self, g: Vector) -> Vector:
        """The inverse times g."""
        return self.inverse * g
