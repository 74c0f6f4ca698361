r"""A metric of softmax risks that knows what each class bends by itself.

The Hessian's blocks on its diagonal are :math:`B_k = \sum_i \sigma_i p_{ik} (1 - p_{ik}) x_i x_i^\top + \lambda_2 I`.
The Kronecker product has one matrix for all classes in their place, but knows how classes hang together.  Where few
rows decide about a class the former is near the Hessian, where all classes see the same rows the latter is; and the
mean of the two inverses, on what sums to zero over the classes, is better than each of them wherever that was tried:
digits to 1e-4 took 29 steps with the product, 17 with the blocks, 13 with both; a hundred classes 15, 26 and 9.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from descender.methods.kronecker import JITTER, Moments, inverses, product_metric

LEAST = 1e-10
"""The share of the largest curvature that the least may be."""


class ClassBlocks:
    """The mean of the inverses of a Kronecker product and of the classes' blocks, or diagonals, on (K, d + 1)."""

    def __init__(self, moments: Moments, own: NDArray, itemsize: int = 8):
        self.together, self.units = product_metric(moments), np.ones(1)
        self.inverses: NDArray | None = None
        if own.ndim == 2:
            own = own + moments.ridge
            self.inverses = 1.0 / np.maximum(own, LEAST * max(float(own.max()), 1e-300))
            return
        places = np.arange(own.shape[1])
        found = inverses(own, own[:, places, places] + moments.ridge, JITTER[itemsize])
        if found is not None:
            self.inverses, self.units = found

    def turn(self, A: NDArray) -> None:
        """Take the classes' covariance anew; the rest stays."""
        self.together.turn(A)

    def solve(self, G: NDArray) -> NDArray:
        """The inverse times G."""
        Y = self.together.solve(G)
        if self.inverses is None:
            return Y
        own = (G - G.mean(axis=0)) * self.units
        if self.inverses.ndim == 3:
            own = np.matmul(self.inverses, own[:, :, None].astype(self.inverses.dtype))[:, :, 0] * self.units
        else:
            own *= self.inverses
        return 0.5 * (Y + own - own.mean(axis=0))
