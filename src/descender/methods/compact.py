"""The pairs of L-BFGS as two matrices in single precision, around a diagonal metric: for vectors that are long."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from descender.costs.cost import Vector


class CompactPairs:
    r"""The inverse Hessian that the last steps s and changes of the gradient y imply, beginning with a diagonal D.

    .. math::

        H = D + \begin{pmatrix} S & DY \end{pmatrix}
        \begin{pmatrix} R^{-T} (E + Y^T D Y) R^{-1} & -R^{-T} \\ -R^{-1} & 0 \end{pmatrix}
        \begin{pmatrix} S^T \\ Y^T D \end{pmatrix}

    with R the upper triangle of :math:`S^T Y` and E its diagonal.  A product reads both matrices twice and makes no
    other vectors, where the two-loop recursion makes four for each pair.  Pairs without measured positive curvature,
    :math:`s\cdot y \le 10^{-12} |s||y|`, are left out.

    R. Byrd, J. Nocedal, R. Schnabel, *Representations of quasi-Newton matrices*, 1994, equation 2.6.
    """

    def __init__(self, memory: int, size: int):
        self.memory, self.count, self.next = memory, 0, 0
        self.S, self.Y = np.zeros((memory, size), np.float32), np.zeros((memory, size), np.float32)
        self.SY, self.YDY = np.zeros((memory, memory)), np.zeros((memory, memory))
        self.diagonal, self.unit = np.ones(size, np.float32), 1.0

    def clear(self) -> None:
        """Forget the pairs."""
        self.count = self.next = 0

    def scale(self, diagonal: Vector) -> None:
        """Begin with another diagonal."""
        self.unit = float(diagonal.max(initial=0.0)) or 1.0
        self.diagonal = (diagonal / self.unit).astype(np.float32)
        k = self.count
        if k:
            self.YDY[:k, :k] = (self.Y[:k] * self.diagonal) @ self.Y[:k].T

    def add(self, s: Vector, y: Vector) -> bool:
        """Remember a step and the change of the gradient over it, both brought to length 1."""
        length, change = float(np.linalg.norm(s)), float(np.linalg.norm(y))
        sy = float(s @ y)
        if not sy > 1e-12 * length * change or not np.isfinite(sy):
            return False
        j = self.next
        self.S[j], self.Y[j] = s / length, y / length
        self.next, self.count = (j + 1) % self.memory, min(self.count + 1, self.memory)
        k = self.count
        self.SY[:k, j], self.SY[j, :k] = self.S[:k] @ self.Y[j], self.Y[:k] @ self.S[j]
        self.SY[j, j] = sy / length**2
        self.YDY[:k, j] = self.YDY[j, :k] = self.Y[:k] @ (self.diagonal * self.Y[j])
        return True

    def order(self) -> NDArray:
        """The pairs, the oldest first."""
        return (np.arange(self.count) + (self.next if self.count == self.memory else 0)) % self.memory

    def solve(self, g: Vector) -> Vector:
        """The product of the inverse Hessian and g."""
        size = float(np.linalg.norm(g)) or 1.0
        unit = (g / size).astype(np.float32)
        first = self.diagonal * unit
        k, order = self.count, self.order()
        if not k:
            return size * self.unit * first.astype(np.float64)
        a, c = self.S[:k] @ unit, self.unit * (self.Y[:k] @ first)
        pairs = np.ix_(order, order)
        R, E, inner = np.triu(self.SY[pairs]), np.diag(self.SY)[order], self.unit * self.YDY[pairs]
        q = solve_triangular(R, a[order])
        top, bottom = np.empty(k), np.empty(k)
        top[order] = solve_triangular(R, E * q + inner @ q - c[order], trans="T")
        bottom[order] = -q
        out = self.diagonal * (unit + (bottom.astype(np.float32) @ self.Y[:k]))
        out *= np.float32(self.unit)
        out += top.astype(np.float32) @ self.S[:k]
        return size * out.astype(np.float64)
